-- add_alike: as add, for jobs that differ in id, nonce and payload only.
-- KEYS: 1 the queue's base
-- ARGV: name, priority, delay_ms, attempts, backoff_ms, timeout_ms, extras, tenant_backlog, organization, user, signature, role, key, family; each: id, nonce, payload
-- returns: the reply of lib/add for each job, with spaces between them
-- errors: none
-- include: base share turns noting? limits? place family? add
-- rare: state_of use_turns announce_due set_share
return add_all(0, 3)

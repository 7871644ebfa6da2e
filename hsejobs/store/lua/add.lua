-- add: new -> waiting or delayed. If the id exists, nothing changes and the job's state is returned.
-- KEYS: 1 the queue's base
-- ARGV: name, priority, delay_ms, attempts, backoff_ms, timeout_ms, extras, tenant_backlog; each: organization, user, signature, role, key, family, id, nonce, payload
--   the first eight hold for all jobs of the call; organization, user, extras, signature, nonce, role, key (of its limit) and family may be ''
-- returns: the reply of lib/add for each job, with spaces between them
-- errors: none
-- first: one
-- include: base share turns noting? limits? place family? add
-- rare: state_of use_turns announce_due set_share
return add_all(9, 9)

-- add_alike: as add, for jobs that differ in id, nonce and payload only.
-- KEYS: 1 the queue's base
-- ARGV: name, priority, delay_ms, attempts, backoff_ms, timeout_ms, extras, tenant_backlog, organization, user, signature, role, key, family; each: id, nonce, payload
-- returns: the reply of lib/add for each job, with spaces between them
-- errors: none
-- include: base share turns noting? limits? place family? add
-- rare: state_of use_turns announce_due set_share
local keys, seen, out, waits = {}, {}, {}, false
for a = 15, #ARGV, 3 do keys[#keys + 1] = base .. K.job .. ARGV[a] end
-- Most often none of them exists, which one command tells.
local fresh = redis.call('EXISTS', unpack(keys)) == 0
together = #keys
for at = 1, #keys do
  local key = keys[at]
  local said = add_job(9, 12 + 3 * at, fresh and not seen[key] and key)
  out[at], seen[key] = said, true
  waits = waits or said == '1w'
end
if waits then ring() end
count_added()
publish()
return table.concat(out, ' ')

-- add_alike: as add, for jobs that differ in id, nonce and payload only.
-- KEYS: 1 the queue's base
-- ARGV: name, priority, delay_ms, attempts, backoff_ms, timeout_ms, extras, tenant_backlog, organization, user, signature, role, key, family; each: id, nonce, payload
-- returns: the reply of lib/add for each job, with spaces between them
-- errors: none
-- include: base share turns noting? limits? place family? add
-- rare: state_of use_turns announce_due set_share
local keys, seen, out, waits, twice = {}, {}, {}, false, false
for a = 15, #ARGV, 3 do
  local key = base .. K.job .. ARGV[a]
  twice = twice or seen[key]
  keys[#keys + 1], seen[key] = key, true
end
-- Most often none of them exists, which one command tells.
local fresh = not twice and redis.call('EXISTS', unpack(keys)) == 0
together = #keys
if fresh and add_waiting(9, keys) then
  waits = true
  for at = 1, #keys do out[at] = '1w' end
else
  for at = 1, #keys do
    local said = add_job(9, 12 + 3 * at, fresh and keys[at])
    out[at] = said
    waits = waits or said == '1w'
  end
end
if waits then ring() end
count_added()
publish()
return table.concat(out, ' ')

-- audit_forget: removes an organization from entries of the audit log.
-- KEYS: 1 the base of the queue, or of what belongs to no queue
-- ARGV: each: id, entry
--   entry: what is left of its fixed part as JSON; '' deletes the whole entry
-- returns: how many entries were changed
-- errors: none
-- include: base audit?
local changed = 0
for a = 1, #ARGV, 2 do
  local id, key = ARGV[a], base .. K.entry .. ARGV[a]
  if redis.call('EXISTS', key) == 1 then
    changed = changed + 1
    if ARGV[a + 1] == '' then drop_acts({ id }) else redis.call('HSET', key, 'e', ARGV[a + 1], 'ids', '') end
  end
end
return changed

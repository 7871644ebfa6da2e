-- clean: removes jobs of one state that are older than a moment, at most `limit` a call.
-- Finished jobs by the time they ended, the others by the time they were added.
-- KEYS: 1 the queue's base
-- ARGV: state, organization, grace_ms, limit, offset, count_only
--   limit: at most 1000; organization '' for all
-- returns: {removed (or found), offset to go on from, 1 when the end was reached}
-- errors: none
-- full server: runs by itself
-- include: base delete
local state, only = ARGV[1], ARGV[2]
-- Counting is looking, and writes nothing.
if ARGV[6] ~= '1' then redis.call('ZREM', base, '') end
local before, limit, offset = now_ms - tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local name = only == '' and index(state) or org_index(state, only)
local finished = state == 'c' or state == 'f'
local ids
if finished then
  local newest = int(before * 1000 + 999)
  if ARGV[6] == '1' then return { redis.call('ZCOUNT', name, '-inf', newest), 0, 1 } end
  ids = redis.call('ZRANGEBYSCORE', name, '-inf', newest, 'LIMIT', 0, limit)
else
  ids = redis.call('ZRANGE', name, offset, offset + limit - 1)
end
local removed = 0
for _, id in ipairs(ids) do
  local job = redis.call('HMGET', base .. K.job .. id, 'st', 'o', 'ct')
  if job[1] == state and (finished or tonumber(job[3]) <= before) then
    if ARGV[6] ~= '1' then delete_job(id, state, job[2]) end
    removed = removed + 1
  elseif not job[1] then
    redis.call('ZREM', name, id)
  end
end
publish()
local kept = finished and 0 or (#ids - (ARGV[6] == '1' and 0 or removed))
return { removed, offset + kept, #ids < limit and 1 or 0 }

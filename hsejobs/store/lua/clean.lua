-- clean: removes jobs of one state that are older than a moment, at most `limit` a call.
-- Finished jobs by the time they ended, the others by the time they were added.
-- KEYS: 1 the queue's base
-- ARGV: state, organization, grace_ms, limit, offset, count_only, spare
--   limit: at most 1000; organization '' for all; spare 1: jobs whose file has not expired stay
-- returns: {removed (or found), offset to go on from, 1 when the end was reached}
-- errors: none
-- include: base delete
local state, only = ARGV[1], ARGV[2]
local before, limit, offset = now_ms - tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local name = only == '' and index(state) or org_index(state, only)
local finished = state == 'c' or state == 'f'
local ids
if finished then
  local newest = int(before * 1000 + 999)
  if ARGV[6] == '1' then return { redis.call('ZCOUNT', name, '-inf', newest), 0, 1 } end
  ids = redis.call('ZRANGEBYSCORE', name, '-inf', newest, 'LIMIT', offset, limit)
else
  ids = redis.call('ZRANGE', name, offset, offset + limit - 1)
end
local removed, gone = 0, 0
for _, id in ipairs(ids) do
  local job = redis.call('HMGET', base .. K.job .. id, 'st', 'o', 'ct', 'ae')
  local spared = ARGV[7] == '1' and tonumber(job[4] or 0) > now_ms
  if job[1] == state and not spared and (finished or tonumber(job[3]) <= before) then
    if ARGV[6] ~= '1' then delete_job(id, state, job[2]) end
    removed = removed + 1
  elseif not job[1] then
    take_from(state, only ~= '' and only, id)
    gone = gone + 1
  end
end
publish()
local kept = #ids - gone - (ARGV[6] == '1' and 0 or removed)
return { removed, offset + kept, #ids < limit and 1 or 0 }

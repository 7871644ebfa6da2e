-- clean: removes jobs of one state that are older than a moment, at most `limit` a call.
-- Finished jobs by the time they ended, the others by the time they were added.
-- KEYS: 1 the queue's base
-- ARGV: state, organization, grace_ms, asked, limit, offset, count_only
--   limit: at most 1000; organization '' for all; asked: Redis ms at which it was asked for, '' for now: ages
--   are of that moment, and what came into the state after it stays
-- returns: {removed (or found), offset to go on from, 1 when the end was reached, asked in ms}
-- errors: none
-- include: base delete version asked
local state, only = ARGV[1], ARGV[2]
local asked = tonumber(ARGV[4]) or now_ms
local before, limit, offset = asked - tonumber(ARGV[3]), tonumber(ARGV[5]), tonumber(ARGV[6])
local count_only = ARGV[7] == '1'
local name = only == '' and index(state) or org_index(state, only)
local finished = state == 'c' or state == 'f'
local ids
if finished then
  local newest = int(before * 1000 + 999)
  if count_only then return { redis.call('ZCOUNT', name, '-inf', newest), 0, 1, asked } end
  ids = redis.call('ZRANGEBYSCORE', name, '-inf', newest, 'LIMIT', offset, limit)
else
  ids = redis.call('ZRANGE', name, offset, offset + limit - 1)
end
local removed, gone = 0, 0
for _, id in ipairs(ids) do
  local job = redis.call('HMGET', base .. K.job .. id, 'st', 'o', 'ct')
  if not job[1] then
    if not count_only then
      redis.call('ZREM', name, id)
      gone = gone + 1
    end
  elseif job[1] == state and (finished or tonumber(job[3]) <= before) and here_at(id, state, asked) then
    if not count_only then
      delete_job(id, state, job[2])
      gone = gone + 1
    end
    removed = removed + 1
  end
end
publish()
return { removed, offset + #ids - gone, #ids < limit and 1 or 0, asked }

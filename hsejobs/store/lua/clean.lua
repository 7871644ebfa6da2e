-- clean: removes jobs of one state that are older than a moment, at most `limit` a call.
-- Finished jobs by the time they ended, the others by the time they were added.
-- KEYS: 1 the queue's base
-- ARGV: state, organization, grace_ms, limit, offset, count_only, spare
--   limit: at most 1000; organization '' for all; spare 1: jobs whose file has not expired stay
-- returns: {removed (or found), offset to go on from, 1 when the end was reached}
-- errors: none
-- full server: runs by itself
-- include: base place settle delete
local state, only = ARGV[1], ARGV[2]
local before, limit, offset = now_ms - whole(ARGV[3], 0), whole(ARGV[4], 1), whole(ARGV[5], 0)
local name = only == '' and index(state) or org_index(state, only)
local finished, counting = state == 'c' or state == 'f', ARGV[6] == '1'
local ids
if finished then
  local newest = int(before * 1000 + 999)
  if counting then return { redis.call('ZCOUNT', name, '-inf', newest), 0, 1 } end
  ids = redis.call('ZRANGEBYSCORE', name, '-inf', newest, 'LIMIT', offset, limit)
else
  ids = redis.call('ZRANGE', name, offset, offset + limit - 1)
end
local removed, dropped = 0, 0
for _, id in ipairs(ids) do
  local key = base .. K.job .. id
  local job = read(key, 'st', 'o', 'ct', 'p', 'ae')
  -- When a job was added that does not tell it is not known: it is not old.
  local spared = ARGV[7] == '1' and whole(job[5], 0) > now_ms
  local old = not spared and (finished or whole(job[3], now_ms) <= before)
  if counting then
    if old and job[1] == state then removed = removed + 1 end
  elseif not is_there(key, job, job[1]) then
    take_from(state, only ~= '' and only or nil, id)
    dropped = dropped + 1
  elseif settle(id, state, job[1], job[2], job[4]) then
    if only ~= '' then redis.call('ZREM', name, id) end
    dropped = dropped + 1
  elseif old then
    delete_job(id, STATE[job[1]] and state, job[2])
    removed = removed + 1
  end
end
publish()
local kept = #ids - removed - dropped
if counting then kept = #ids end
return { removed, offset + kept, #ids < limit and 1 or 0 }

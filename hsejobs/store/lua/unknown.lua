-- unknown: tasks of waiting and delayed jobs, to find those that no consumer can run: of the jobs that a
-- consumer sent back, and of a sample of the others.
-- KEYS: 1 the queue's base
-- ARGV: sample
--   sample: how many jobs to read at each end of waiting, and of those due first
-- returns: {{task, since when its oldest job there waits in ms, ...}, the same for jobs that wait for a consumer
--   with the key of their secrets, since it was first missing}
-- errors: none
-- read only
-- include: base
local since, tasks, sealed, last = {}, {}, {}, whole(ARGV[1], 20) - 1
local function look_sealed(id)
  local job = read(base .. K.job .. id, 'st', 'n', 'ec', 'bs')
  -- Not one that runs: that may be in a consumer that has the key.
  if (job[1] == 'w' or job[1] == 'd') and job[2] and job[3] == 'sealed' then
    sealed[#sealed + 1], sealed[#sealed + 2] = job[2], int(whole(job[4], now_ms))
  end
end
local function look(id, noted)
  local job = read(base .. K.job .. id, 'st', 'n', 'ct', 'bs')
  local task, state = job[2], job[1]
  if not task or not (state == 'w' or state == 'd' or (noted and state == 'a')) then return end
  local at = whole(noted and job[4], whole(job[3], now_ms))
  if not since[task] then tasks[#tasks + 1] = task end
  since[task] = math.min(since[task] or at, at)
end
local noted = redis.call('HGETALL', base .. K.sentback)
for i = 1, #noted, 2 do
  local code, id = string.match(noted[i], '^(%S+) '), string.match(noted[i + 1], '^%d+ (.+)$')
  if code == 'unknown_task' and id then look(id, true) end
  if code == 'sealed' and id then look_sealed(id) end
end
for _, ids in ipairs({
  redis.call('ZRANGE', base .. K.waiting, 0, last),
  redis.call('ZREVRANGE', base .. K.waiting, 0, last),
  redis.call('ZRANGE', base .. K.delayed, 0, last),
}) do
  for _, id in ipairs(ids) do look(id) end
end
local out = {}
for _, task in ipairs(tasks) do
  out[#out + 1], out[#out + 2] = task, int(since[task])
end
return { out, sealed }

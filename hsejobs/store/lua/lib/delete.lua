-- Deletes a job's record and all its other keys; the caller has checked that this is allowed.
local BESIDE = { K.job, K.payload, K.extras, K.result, K.errors, K.logs, K.marks, K.checkpoint }

-- The records of a weekly schedule's runs may be removed between runs: keep how the last one ended.
local function keep_outcome(id, state)
  if string.sub(id, 1, 9) ~= 'periodic:' and string.sub(id, 1, 8) ~= 'sys:run:' then return end
  local job = read(base .. K.job .. id, 'n', 'ct', 'ft')
  if job[1] and redis.call('HGET', base .. K.lastruns, job[1]) == id then
    redis.call('HSET', base .. K.lastends, job[1],
      state .. ' ' .. (job[2] or '') .. ' ' .. (job[3] or '') .. ' ' .. id)
  end
end

-- The job's file is kept for `keep_ms` after the record, so that an undo finds it. Jobs of releases that
-- computed the ids of files have no `af`; only these two queues had any.
local computed = string.find(base, '{reports}:', 1, true) or string.find(base, '{data-exports}:', 1, true)
local function grave(id, created, artifact, org)
  return id .. '\t' .. (created or '') .. '\t' .. (artifact or '') .. '\t' .. org
end

local function bury(id, org, keep_ms)
  if not org then return end
  local job = read(base .. K.job .. id, 'af', 'ct', 'pt')
  if job[1] or (computed and job[3]) then
    redis.call('ZADD', base .. K.gone, int(now_ms + keep_ms), grave(id, job[2], job[1], org))
  end
end

-- `state` nil: the record has none.
local function delete_job(id, state, org, keep_ms)
  bury(id, org, keep_ms or 0)
  if state ~= 'c' and state ~= 'f' then
    local job = read(base .. K.job .. id, 'tk', 'lk', 'ky', 'n')
    if job[3] then key_gone(id, job[4] or '', job[3]) end
    leave_aside(id, job[4] or '')
    if job[2] then free_locks(id, job[1], job[2]) end
  end
  local family = read(base .. K.job .. id, 'fa')[1]
  if family then leave_family(id, family) end
  if state == 'c' or state == 'f' then keep_outcome(id, state) end
  if state then take_from(state, org, id) else take_from_all(org, id) end
  local names = {}
  for i, name in ipairs(BESIDE) do names[i] = base .. name .. id end
  redis.call('UNLINK', unpack(names))
  redis.call('HDEL', base .. K.revoked, 'r:' .. id)
  if state == 'f' then redis.call('ZREM', base .. K.ended, id) end
  if state == 'a' then redis.call('ZREM', base .. K.cancels, id) end
  count('rm', org)
  event('removed', id, org)
end

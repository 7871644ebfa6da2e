-- Takes a job's record and everything beside it away; the caller has checked that it may.
local BESIDE = { K.job, K.payload, K.extras, K.result, K.errors, K.logs, K.marks }

-- A schedule that runs once a week outlives the records of its runs: how the last one ended is kept.
local function keep_outcome(id, state)
  if string.sub(id, 1, 9) ~= 'periodic:' and string.sub(id, 1, 8) ~= 'sys:run:' then return end
  local job = read(base .. K.job .. id, 'n', 'ct', 'ft')
  if job[1] and redis.call('HGET', base .. K.lastruns, job[1]) == id then
    redis.call('HSET', base .. K.lastends, job[1],
      state .. ' ' .. (job[2] or '') .. ' ' .. (job[3] or '') .. ' ' .. id)
  end
end

-- `state` nil: the record tells none.
local function delete_job(id, state, org)
  if state == 'c' or state == 'f' then keep_outcome(id, state) end
  if state then take_from(state, org, id) else take_from_all(org, id) end
  local names = {}
  for i, name in ipairs(BESIDE) do names[i] = base .. name .. id end
  redis.call('UNLINK', unpack(names))
  redis.call('HDEL', base .. K.revoked, 'r:' .. id)
  event('removed', id, org)
end

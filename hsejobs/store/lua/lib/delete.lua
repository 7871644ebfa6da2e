-- Takes a job's record and everything beside it away; the caller has checked that it may.
local BESIDE = { K.job, K.payload, K.extras, K.result, K.errors, K.logs, K.marks }

local function delete_job(id, state, org)
  take_from(state, org, id)
  local names = {}
  for i, name in ipairs(BESIDE) do names[i] = base .. name .. id end
  redis.call('UNLINK', unpack(names))
  redis.call('HDEL', base .. K.revoked, 'r:' .. id)
  event('removed', id, org)
end

-- Claims up to `n` jobs: lease, token, attempt. A job that stalled before is claimed alone.
local FIELDS = { 'n', 'am', 'ax', 'bo', 'to', 'o', 'u', 'sl', 'ws', 'ct', 'p', 'x', 'sg', 'sc' }

-- Returns a list a job: the FIELDS, id, payload; absent ones are nil.
local function claim(n, token, lease_ms)
  if n < 1 or is_paused() then return {} end
  move_due(100)
  local waiting = base .. K.waiting
  local popped = redis.call('ZPOPMIN', waiting, n)
  if #popped == 0 then return {} end
  local out, payload_keys, leases = {}, {}, {}
  local lease_until = int(now_ms + lease_ms)
  local revocable = redis.call('EXISTS', base .. K.revoked) == 1
  local taken = 0
  for i = 1, #popped, 2 do
    local id = popped[i]
    local key = base .. K.job .. id
    local job = redis.call('HMGET', key, unpack(FIELDS))
    if job[1] then
      local lone = job[8] and taken > 0
      if lone then
        for k = i, #popped, 2 do
          redis.call('ZADD', waiting, popped[k + 1], popped[k])
        end
        break
      end
      local org = job[6]
      redis.call('HSET', key, 'st', 'a', 'tk', token, 'am', job[2] + 1, 'pt', NOW)
      leases[#leases + 1] = lease_until
      leases[#leases + 1] = id
      if org then
        redis.call('ZREM', org_index('w', org), id)
        redis.call('ZADD', org_index('a', org), lease_until, id)
      end
      if revocable then
        local found = redis.call('HMGET', base .. K.revoked, 'r:' .. id, 'rt:' .. job[1])
        job[14] = (found[1] or found[2]) and 'revoked' or ''
      else
        job[14] = ''
      end
      local since = tonumber(job[9] or job[10])
      count('w' .. bucket(math.max(0, now_us - since * 1000)), org)
      event('active', id, org)
      taken = taken + 1
      job[15] = id
      out[taken] = job
      payload_keys[taken] = base .. K.payload .. id
      if job[8] then
        for k = i + 2, #popped, 2 do
          redis.call('ZADD', waiting, popped[k + 1], popped[k])
        end
        break
      end
    end
  end
  if taken == 0 then return {} end
  redis.call('ZADD', base .. K.active, unpack(leases))
  local payloads = redis.call('MGET', unpack(payload_keys))
  for i = 1, taken do out[i][16] = payloads[i] end
  if redis.call('ZCARD', waiting) > 0 then ring() end
  return out
end

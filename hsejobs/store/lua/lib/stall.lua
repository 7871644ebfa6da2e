-- A job whose worker went silent: back to its place without using an attempt, or failed after too many.
local function stall_job(id, max_stalls)
  local key = base .. K.job .. id
  local job = redis.call('HMGET', key, 'st', 'o', 'sl', 'am', 'sc', 'tk', 'pt')
  if job[1] ~= 'a' then
    redis.call('ZREM', base .. K.active, id)
    return nil
  end
  local org, stalls = job[2], (tonumber(job[3]) or 0) + 1
  take_from('a', org, id)
  count('st', org)
  if stalls > max_stalls then
    redis.call('HSET', key, 'st', 'f', 'sl', stalls, 'ec', 'stalled', 'ft', int(now_ms))
    local entry = cjson.encode({
      attempt = tonumber(job[4]), code = 'stalled', worker = job[6],
      error = 'the worker went silent ' .. stalls .. ' times while it ran this job',
      startedAt = tonumber(job[7]), failedAt = now_ms,
    })
    redis.call('RPUSH', base .. K.errors .. id, entry)
    put_in('f', org, int(now_us), id)
    count('f', org)
    event('failed', id, org)
    return 'failed'
  end
  redis.call('HSET', key, 'st', 'w', 'sl', stalls, 'am', math.max(0, job[4] - 1), 'si', NOW)
  redis.call('HDEL', key, 'tk', 'pg', 'pm')
  put_in('w', org, job[5], id)
  event('stalled', id, org)
  return 'waiting'
end

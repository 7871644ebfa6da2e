-- One whole record for a reader: hash (its `v` is the version), payload, result, errors; `tail` how many
-- errors (0: all).
local function record(id, payload_bytes, tail)
  local hash = redis.call('HGETALL', base .. K.job .. id)
  if #hash == 0 then return nil end
  hash[#hash + 1] = 'v'
  hash[#hash + 1] = version(id, redis.call('HGET', base .. K.job .. id, 'st') or '')
  local payload, result
  if payload_bytes > 0 then
    payload = redis.call('GETRANGE', base .. K.payload .. id, 0, payload_bytes - 1)
    result = redis.call('GETRANGE', base .. K.result .. id, 0, payload_bytes - 1)
  end
  return { id, hash, payload or '', result or '', redis.call('LRANGE', base .. K.errors .. id, tail == 0 and 0 or -tail, -1) }
end

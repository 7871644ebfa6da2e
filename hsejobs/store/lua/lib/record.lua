-- One complete record for a reader: hash (`v` is the version), payload, result, errors; `tail` is how many
-- errors (0: all).
-- Keys of another type, which only other programs write, count as absent, so that they break no list.
local function soft(...)
  local found = redis.pcall(...)
  return not (type(found) == 'table' and found.err) and found
end

local function record(id, payload_bytes, tail)
  local hash = soft('HGETALL', base .. K.job .. id) or {}
  if #hash == 0 then return nil end
  hash[#hash + 1] = 'v'
  hash[#hash + 1] = version(id, read(base .. K.job .. id, 'st')[1] or '')
  local payload, result
  if payload_bytes > 0 then
    payload = soft('GETRANGE', base .. K.payload .. id, 0, payload_bytes - 1)
    result = soft('GETRANGE', base .. K.result .. id, 0, payload_bytes - 1)
  end
  local errors = soft('LRANGE', base .. K.errors .. id, tail == 0 and 0 or -tail, -1)
  return { id, hash, payload or '', result or '', errors or {} }
end

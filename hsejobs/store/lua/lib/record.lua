-- One complete record for a reader: hash (`v` is the version), payload, result, errors. `tail`: how many errors
-- (0: all, -1: the newest without its traceback); `whose`, `score`: the state that lists the job, and its score
-- there, if the caller knows them; `resultless`: without the result.
-- Keys of another type, which only other programs write, count as absent, so that they break no list.
local function soft(...)
  local found = redis.pcall(...)
  return not (type(found) == 'table' and found.err) and found
end

-- An error without its traceback and what follows that. No text in JSON contains a quote that is not escaped.
local function brief(entry)
  local text, at = string.find(entry, '"error":', 1, true), string.find(entry, ',"traceback":', 1, true)
  return text and at and text < at and string.sub(entry, 1, at - 1) .. '}' or entry
end

local function record(id, payload_bytes, tail, whose, score, resultless)
  local hash = soft('HGETALL', base .. K.job .. id) or {}
  if #hash == 0 then return nil end
  hash[#hash + 1] = 'v'
  local state = ''
  for i = 1, #hash - 2, 2 do
    if hash[i] == 'st' then state = hash[i + 1] end
  end
  -- A waiting job's score is not all of its version.
  hash[#hash + 1] = state == whose and state ~= 'w' and state ~= 'a' and state .. score or version(id, state)
  local payload, result
  if payload_bytes > 0 then
    payload = soft('GETRANGE', base .. K.payload .. id, 0, payload_bytes - 1)
    result = not resultless and soft('GETRANGE', base .. K.result .. id, 0, payload_bytes - 1)
  end
  local errors = soft('LRANGE', base .. K.errors .. id, tail == 0 and 0 or -math.abs(tail), -1)
  if tail < 0 and errors and errors[1] then errors[1] = brief(errors[1]) end
  return { id, hash, payload or '', result or '', errors or {} }
end

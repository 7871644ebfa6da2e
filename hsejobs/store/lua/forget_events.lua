-- forget_events: copies the event feed without one organization's lines, at most `limit` entries per call, and
-- replaces the feed when the copy is complete. Deleting entries in place would not remove their bytes.
-- KEYS: 1 the queue's base
-- ARGV: organization, limit
-- returns: 1 when done, 0 if it must be called again
-- errors: none
-- include: base
local feed, copy, limit = base .. K.events, base .. K.newevents, tonumber(ARGV[2])
local tail = '\t' .. ARGV[1]
local place = base .. K.newevents .. ':at'
local since = redis.call('GET', place)
local entries = redis.call('XRANGE', feed, since and ('(' .. since) or '-', '+', 'COUNT', limit)
for _, entry in ipairs(entries) do
  local kept = {}
  for i = 1, #entry[2], 2 do
    local lines = {}
    for line in string.gmatch(entry[2][i + 1], '[^\n]+') do
      if string.sub(line, -#tail) ~= tail then lines[#lines + 1] = line end
    end
    if #lines > 0 then
      kept[#kept + 1] = entry[2][i]
      kept[#kept + 1] = table.concat(lines, '\n')
    end
  end
  if #kept > 0 then redis.call('XADD', copy, entry[1], unpack(kept)) end
  since = entry[1]
end
if #entries >= limit then
  redis.call('SET', place, since, 'EX', 3600)
  redis.call('EXPIRE', copy, 3600)
  return 0
end
redis.call('DEL', place)
if redis.call('EXISTS', copy) == 1 then
  redis.call('RENAME', copy, feed)
  redis.call('PERSIST', feed)
else
  redis.call('UNLINK', feed)
end
return 1

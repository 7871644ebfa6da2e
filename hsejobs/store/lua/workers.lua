-- workers: the consumers of a queue with a heartbeat within the last minute, at most 1,000.
-- KEYS: 1 the queue's base
-- ARGV:
-- returns: {Redis time in ms, then the record (JSON) and the time of the last heartbeat in ms of each}
-- errors: none
-- read only
-- include: base
local out = { now_ms }
local names = redis.call('ZRANGE', base .. K.workers, 0, 999, 'WITHSCORES')
for i = 1, #names, 2 do
  local text = redis.call('GET', base .. K.worker .. names[i])
  if text then
    out[#out + 1] = text
    out[#out + 1] = names[i + 1]
  end
end
return out

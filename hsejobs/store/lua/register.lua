-- register: writes a queue's description, and notes the releases that describe it.
-- KEYS: 1 the queue's base
-- ARGV: description, before; each: release, consumer, source_ms, its_description, masks
--   before: the SHA-1 of the description that the caller read, '' for none; consumer 1: a consumer of that
--   release lives, 2: it starts now; source_ms: when its code was written;
--   masks: a line for each secret field, the task and the field
-- returns: 1, or 0 if the description has changed since: nothing is written
-- errors: none
-- include: base
local there = redis.call('GET', base .. K.queue)
if (there and redis.sha1hex(there) or '') ~= ARGV[2] then return 0 end
local releases, seen = base .. K.releases, base .. K.seen
for a = 3, #ARGV, 5 do
  local id = ARGV[a]
  local consumer, source, born = whole(ARGV[a + 1], 0), whole(ARGV[a + 2], 0), now_ms
  local begins = consumer == 2
  consumer = math.min(consumer, 1)
  local known = redis.call('HGET', releases, id)
  if known then
    local first, ran, written = string.match(known, '^(%d+) (%d) (%d+) ')
    born, consumer = begins and now_ms or whole(first, now_ms), math.max(consumer, whole(ran, 0))
    source = math.max(source, whole(written, 0))
  end
  local header = int(born) .. ' ' .. int(consumer) .. ' ' .. int(source)
  redis.call('HSET', releases, id, header .. ' ' .. ARGV[a + 3])
  redis.call('ZADD', seen, NOW, id)
  for mask in string.gmatch(ARGV[a + 4], '[^\n]+') do
    redis.call('HSET', base .. K.masks, mask, NOW)
  end
end
redis.call('SET', base .. K.queue, ARGV[1])
redis.call('HSET', releases, '', redis.sha1hex(ARGV[1]))
-- The oldest ones are forgotten; their masks are kept for as long as their jobs may be.
local old = redis.call('ZRANGE', seen, 0, -1 - RELEASES_KEPT)
for _, id in ipairs(redis.call('ZRANGEBYSCORE', seen, '-inf', int(now_ms - RELEASE_MS))) do
  old[#old + 1] = id
end
for _, id in ipairs(old) do
  redis.call('ZREM', seen, id)
  redis.call('HDEL', releases, id)
end
local masks = redis.call('HGETALL', base .. K.masks)
for i = 1, #masks, 2 do
  if whole(masks[i + 1], 0) < now_ms - MASK_MS then redis.call('HDEL', base .. K.masks, masks[i]) end
end
return 1

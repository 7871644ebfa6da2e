-- note: adds a mark to the history, and forgets those that are too old or too many.
-- KEYS: 1 the marks' base
-- ARGV: mark, once
--   mark: JSON with an id of its own, so that a resent one counts once; once: JSON without an id: the mark is added
--   only if that of the newest such mark differs, '' to add it in any case
-- returns: {1 if it was added, Redis time in ms}
-- errors: none
-- include: base
local notes, latest = base .. K.notes, base .. K.latest
if ARGV[2] ~= '' then
  if redis.call('GET', latest) == ARGV[2] then return { 0, now_ms } end
  begin()
  redis.call('SET', latest, ARGV[2], 'EX', MARKS_TTL)
end
begin()
redis.call('ZREMRANGEBYSCORE', notes, '-inf', int(now_ms - MARKS_TTL * 1000))
for _, old in ipairs(redis.call('ZRANGE', notes, 0, math.min(100, redis.call('ZCARD', notes) - MARKS_KEPT))) do
  if redis.call('ZCARD', notes) < MARKS_KEPT then break end
  redis.call('ZREM', notes, old)
end
redis.call('ZADD', notes, NOW, ARGV[1])
redis.call('EXPIRE', notes, MARKS_TTL)
return { 1, now_ms }

-- heartbeat: records that a consumer is alive and what it runs; removes consumers without recent heartbeats.
-- KEYS: 1 the queue's base
-- ARGV: worker, record, ttl_ms, release, described, hold
--   record: JSON; '' when the consumer stops; release: which it runs; described: the SHA-1 of the queue's
--   description as the consumer knows it; hold 1: consumers of 0.1.0 are to claim nothing for ttl_ms
-- returns: {1 when the queue has that description, 0 if it has changed or Redis has lost it, what an operator asked
--   this consumer to do (see order) or ''}
-- errors: none
-- full server: runs
-- include: base
local workers, worker = base .. K.workers, ARGV[1]
local order, ttl_ms = base .. K.order .. worker, within(ARGV[3], 1, LONGEST_MS, 60000)
if ARGV[2] == '' then
  redis.call('ZREM', workers, worker)
  redis.call('DEL', base .. K.worker .. worker, order)
else
  redis.call('ZADD', workers, int(now_ms), worker)
  redis.call('SET', base .. K.worker .. worker, ARGV[2], 'PX', int(ttl_ms))
  if redis.call('HGET', base .. K.releases, ARGV[4]) then
    redis.call('ZADD', base .. K.seen, NOW, ARGV[4])
  end
  -- They would fail jobs that they do not know. All that they heed is a pause, whatever its value.
  if ARGV[6] == '1' and not is_paused() then
    redis.call('SET', base .. K.paused, HELD, 'PX', int(ttl_ms))
  end
end
-- From this on it is known for how long the queue has had no consumer.
redis.call('SET', base .. K.lastseen, NOW, 'EX', LAST_SEEN_TTL)
redis.call('ZREMRANGEBYSCORE', workers, '-inf', int(now_ms - ttl_ms))
local described = redis.call('GET', base .. K.queue)
return { described and redis.sha1hex(described) == ARGV[5] and 1 or 0, redis.call('GET', order) or '' }

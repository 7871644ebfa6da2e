-- heartbeat: records that a consumer is alive and what it runs; removes consumers without recent heartbeats.
-- KEYS: 1 the queue's base
-- ARGV: worker, record, ttl_ms
--   record: JSON; '' when the consumer stops
-- returns: 1 when the queue has a description, 0 if Redis has lost it
-- errors: none
-- full server: runs
-- include: base
local workers, worker = base .. K.workers, ARGV[1]
local ttl_ms = within(ARGV[3], 1, LONGEST_MS, 60000)
if ARGV[2] == '' then
  redis.call('ZREM', workers, worker)
  redis.call('DEL', base .. K.worker .. worker)
else
  redis.call('ZADD', workers, int(now_ms), worker)
  redis.call('SET', base .. K.worker .. worker, ARGV[2], 'PX', int(ttl_ms))
end
redis.call('ZREMRANGEBYSCORE', workers, '-inf', int(now_ms - ttl_ms))
return redis.call('EXISTS', base .. K.queue)

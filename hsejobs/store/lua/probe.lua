-- What an add would be refused, without adding anything.
-- KEYS: 1 the queue's base
-- ARGV: name, priority, delay_ms, attempts, backoff_ms, timeout_ms, extras
-- returns: 1
-- errors: none
-- include: base place add
-- XX and a member that no job can be: the command writes nothing, and is judged like one that does.
redis.call('ZADD', base .. K.waiting, 'XX', 0, '')
return 1

-- overdue: how many active jobs have a lease that expired more than `overdue_ms` ago, by Redis time.
-- KEYS: 1 the queue's base
-- ARGV: overdue_ms
-- returns: their number
-- errors: none
-- read only
-- include: base
return redis.call('ZCOUNT', base .. K.active, '-inf', int(now_ms - whole(ARGV[1], 0)))

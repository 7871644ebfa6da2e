-- How many active jobs ran out of their lease so long ago that nobody brings them back: by Redis' own clock.
-- KEYS: 1 the queue's base
-- ARGV: overdue_ms
-- returns: their number
-- errors: none
-- read only
-- include: base
return redis.call('ZCOUNT', base .. K.active, '-inf', int(now_ms - whole(ARGV[1], 0)))

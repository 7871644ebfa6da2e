-- overdue: how many active jobs have a lease that expired more than `overdue_ms` ago, by Redis time. None while a
-- program that runs consumers has started less than `overdue_ms` ago: they are about to take the jobs over.
-- KEYS: 1 the queue's base
-- ARGV: overdue_ms
-- returns: their number
-- errors: none
-- read only
-- include: base
local before = now_ms - whole(ARGV[1], 0)
if whole(redis.pcall('GET', base .. K.starting), 0) > before then return 0 end
return redis.call('ZCOUNT', base .. K.active, '-inf', int(before))

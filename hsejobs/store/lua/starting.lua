-- starting: notes that a program starts which runs consumers of the queue. If the one before led to no heartbeat, its
-- time stays: a program that ends at each start must not look like one that has just been started.
-- KEYS: 1 the queue's base
-- ARGV:
-- returns: since when a start is under way, in Redis ms
-- errors: none
-- full server: runs
-- include: base
local function time_of(name) return within(redis.pcall('GET', base .. name), 0, now_ms, 0) end
local since = time_of(K.starting)
if since <= time_of(K.lastseen) then since = now_ms end
redis.call('SET', base .. K.starting, int(since), 'EX', STARTING_TTL)
return since

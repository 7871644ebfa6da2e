-- starting: notes that a program starts which runs consumers of the queue. If the one before led to no heartbeat, its
-- time stays: a program that ends at each start must not look like one that has just been started.
-- Beside live consumers it notes nothing: a program of a rolling deploy excuses no job that they have not taken over.
-- KEYS: 1 the queue's base
-- ARGV:
-- returns: since when a start is under way, in Redis ms, or 0
-- errors: none
-- full server: runs
-- include: base
local function time_of(name) return within(redis.pcall('GET', base .. name), 0, now_ms, 0) end
local since = time_of(K.starting)
if redis.call('ZCOUNT', base .. K.workers, int(now_ms - DEAD_MS), '+inf') > 0 then return since end
if since <= time_of(K.lastseen) then since = now_ms end
redis.call('SET', base .. K.starting, int(since), 'EX', STARTING_TTL)
return since

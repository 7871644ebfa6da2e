-- log: lines of an active job, by token; the newest are kept.
-- KEYS: 1 the queue's base
-- ARGV: id, token, lines_kept, final; each: line
--   final 1: the last lines, which travel with the outcome and are taken by a full server too
-- returns: 1, or 0 when the job is not this token's any more
-- errors: none
-- include: base
local id = ARGV[1]
local key = base .. K.job .. id
local job = redis.call('HMGET', key, 'st', 'tk')
if job[1] ~= 'a' or job[2] ~= ARGV[2] then return 0 end
if ARGV[4] == '1' then redis.call('ZREM', base, '') end
for a = 5, #ARGV do redis.call('RPUSH', base .. K.logs .. id, ARGV[a]) end
redis.call('LTRIM', base .. K.logs .. id, -ARGV[3], -1)
redis.call('HINCRBY', key, 'lc', #ARGV - 4)
return 1

-- log: lines of an active job, by token; the newest are kept.
-- KEYS: 1 the queue's base
-- ARGV: id, token, lines_kept; each: line
-- returns: 1, or 0 when the job is not this token's any more
-- errors: none
-- include: base
local id = ARGV[1]
local key = base .. K.job .. id
local job = read(key, 'st', 'tk')
if job[1] ~= 'a' or job[2] ~= ARGV[2] then return 0 end
local kept = within(ARGV[3], 1, 100000, 1)
for a = 4, #ARGV do redis.call('RPUSH', base .. K.logs .. id, ARGV[a]) end
redis.call('LTRIM', base .. K.logs .. id, -kept, -1)
bump(key, 'lc', #ARGV - 3)
return 1

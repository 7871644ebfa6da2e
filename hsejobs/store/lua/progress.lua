-- progress: sets the progress of an active job, by token.
-- KEYS: 1 the queue's base
-- ARGV: id, token, percent, message
--   message '' for none
-- returns: 1, or 0 if the token no longer holds the job
-- errors: none
-- include: base
local key = base .. K.job .. ARGV[1]
local job = read(key, 'st', 'tk', 'o', 'pg', 'pm')
if job[1] ~= 'a' or job[2] ~= ARGV[2] then return 0 end
-- When it changed last, so that one that stands still is seen.
if job[4] ~= ARGV[3] or job[5] ~= ARGV[4] then redis.call('HSET', key, 'pg', ARGV[3], 'pm', ARGV[4], 'pa', NOW) end
event('progress', ARGV[1], job[3])
publish()
return 1

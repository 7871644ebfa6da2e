-- artifact: the id of the file that an active job creates, by token; set once, the same in each attempt.
-- KEYS: 1 the queue's base
-- ARGV: id, token, fresh, expires_at
--   fresh: a random id, used if the job has none yet; expires_at: ms since the epoch
-- returns: the id, or "" if the token no longer holds the job
-- errors: none
-- include: base
local key = base .. K.job .. ARGV[1]
local job = redis.call('HMGET', key, 'st', 'tk', 'af')
if job[1] ~= 'a' or job[2] ~= ARGV[2] then return '' end
redis.call('HSET', key, 'af', job[3] or ARGV[3], 'ae', ARGV[4])
return job[3] or ARGV[3]

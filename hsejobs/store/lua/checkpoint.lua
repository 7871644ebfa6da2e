-- checkpoint: stores the value that the job's next attempt continues from, by token; replaces an earlier one.
-- KEYS: 1 the queue's base
-- ARGV: id, token, value, final
--   value: JSON; final 1: written with the outcome and accepted by a full server
-- returns: 1, or 0 if the token no longer holds the job
-- errors: none
-- include: base
local key = base .. K.job .. ARGV[1]
local job = read(key, 'st', 'tk', 'cp')
if job[1] ~= 'a' or job[2] ~= ARGV[2] then return 0 end
if ARGV[4] == '1' then begin() end
-- The field tells the completion that there is a key to delete, without a command for other jobs.
if not job[3] then redis.call('HSET', key, 'cp', '1') end
redis.call('SET', base .. K.checkpoint .. ARGV[1], ARGV[3])
return 1

-- alone: a job whose worker died before asks to run alone in its consumer, and later begins to; by token.
-- KEYS: 1 the queue's base
-- ARGV: id, token, begins
--   begins 1: it runs alone from now on, so that a stall under this token counts against it; 0: it waits
-- returns: ms since it first asked to, or -1 if the token no longer holds the job
-- errors: none
-- full server: runs
-- include: base
local key = base .. K.job .. ARGV[1]
local job = read(key, 'st', 'tk', 'aa')
if job[1] ~= 'a' or job[2] ~= ARGV[2] then return -1 end
local since = within(job[3], 0, now_ms, now_ms)
if ARGV[3] == '1' then
  redis.call('HSET', key, 'al', ARGV[2])
  redis.call('HDEL', key, 'aa')
elseif not job[3] then
  redis.call('HSET', key, 'aa', int(now_ms))
end
return now_ms - since

-- mark: reads or sets a mark, which records for later attempts what this one did; by token.
-- KEYS: 1 the queue's base
-- ARGV: id, token, mark, set, ask
--   set 0: only read; ask: identifies this call, so that a resent call gets the same reply
-- returns: 1 if the mark was not set, 0 if it was, -1 if the token no longer holds the job
-- errors: none
-- full server: runs
-- include: base
local id = ARGV[1]
local key = base .. K.job .. id
local job = read(key, 'st', 'tk', 'mk')
if job[1] ~= 'a' or job[2] ~= ARGV[2] then return -1 end
local marks = base .. K.marks .. id
if ARGV[4] == '1' then
  if redis.call('SADD', marks, ARGV[3]) == 1 then
    redis.call('HSET', key, 'mk', ARGV[5])
    return 1
  end
  return job[3] == ARGV[5] and 1 or 0
end
return 1 - redis.call('SISMEMBER', marks, ARGV[3])

-- lock: a Huey lock held by a job; if that job no longer runs, the lock counts as free.
-- KEYS: 1 the queue's base
-- ARGV: lock, id, token, ttl_ms
--   id and token '' if taken outside a job; ttl_ms 0 for none
-- returns: 1 if it was taken, else 0
-- errors: none
-- full server: runs
-- include: base
local name = base .. K.value .. ARGV[1]
local holder = redis.call('GET', name)
if holder then
  local id, token = string.match(holder, '^(%S+) (%S+)$')
  if not id then return 0 end
  local job = read(base .. K.job .. id, 'st', 'tk')
  if job[1] == 'a' and job[2] == token then return 0 end
end
local value = ARGV[2] == '' and '"1"' or (ARGV[2] .. ' ' .. ARGV[3])
if ARGV[4] == '0' then
  redis.call('SET', name, value)
else
  redis.call('SET', name, value, 'PX', ARGV[4])
end
return 1

-- lock: takes a Huey lock. It is free if its holder no longer runs, and if no job with a lower place waits.
-- KEYS: 1 the queue's base
-- ARGV: lock, id, token, ttl_ms
--   id and token '' if taken outside a job; ttl_ms 0 for none
-- returns: 1 if it was taken, 2 if this job holds it, else 0
-- errors: none
-- full server: runs
-- include: base share turns noting? limits? place locks
local lock, id, token = ARGV[1], ARGV[2], ARGV[3]
local name, waiters, key = base .. K.value .. lock, base .. K.waiters .. lock, base .. K.job .. id
local inside, place, job = id ~= '', 0, {}
if inside then
  job = read(key, 'st', 'tk', 'sc', 'lk')
  if job[1] ~= 'a' or job[2] ~= token then return 0 end
  place = whole(redis.call('ZSCORE', waiters, id) or job[3], LARGEST)
end
local holder, its_token, its_place = holder_of(lock)
if holder == id and inside then
  if its_token == token then return 2 end
elseif holder then
  if not its_place or place >= its_place or not inside then return 0 end
  -- It was handed to a job that has not begun, and this one comes before it.
  redis.call('ZADD', waiters, int(its_place), holder)
elseif inside then
  local first = redis.call('ZRANGE', waiters, 0, 0, 'WITHSCORES')
  if first[1] and first[1] ~= id and whole(first[2], 0) < place then
    hand_over(lock)
    publish()
    if redis.call('EXISTS', name) == 1 then return 0 end
  end
end
local value = inside and (id .. ' ' .. token) or '"1"'
if ARGV[4] == '0' then
  redis.call('SET', name, value)
else
  redis.call('SET', name, value, 'PX', ARGV[4])
end
if inside then
  redis.call('ZREM', waiters, id)
  if not waits_for(job[4], lock) then
    local all = locks_of(job[4])
    all[#all + 1] = lock
    redis.call('HSET', key, 'lk', cjson.encode(all))
  end
end
return 1

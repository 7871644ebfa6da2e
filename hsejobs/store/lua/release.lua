-- release: active -> waiting; no attempt used, its place in the queue kept.
-- KEYS: 1 the queue's base
-- ARGV: each: id, token
-- returns: how many were handed back (those not this token's any more are passed over)
-- errors: none
-- include: base
local released = 0
for a = 1, #ARGV, 2 do
  local id = ARGV[a]
  local key = base .. K.job .. id
  local job = redis.call('HMGET', key, 'st', 'tk', 'o', 'am', 'sc')
  if job[1] == 'a' and job[2] == ARGV[a + 1] then
    take_from('a', job[3], id)
    redis.call('HSET', key, 'st', 'w', 'am', math.max(0, job[4] - 1), 'si', NOW)
    redis.call('HDEL', key, 'tk', 'pg', 'pm')
    put_in('w', job[3], job[5], id)
    event('waiting', id, job[3])
    released = released + 1
  end
end
if released > 0 then
  ring()
  publish()
end
return released

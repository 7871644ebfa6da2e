-- fail: active -> delayed (a retry is left) or failed.
-- KEYS: 1 the queue's base
-- ARGV: id, token, final, code, delay_ms, run_us, error, errors_kept
--   delay_ms -1: backoff x 5^(n-1); final 1: no retry; error is a JSON object
-- returns: {outcome, delay ms}: "d" retried later, "f" failed, "r" refused (not this token's job)
-- errors: none
-- include: base place bucket
local id, token = ARGV[1], ARGV[2]
local key = base .. K.job .. id
local job = redis.call('HMGET', key, 'st', 'tk', 'o', 'am', 'ax', 'bo')
if job[2] ~= token then return { 'r', 0 } end
if job[1] ~= 'a' then
  -- Sent again after a lost reply: the token stays in the record until the next claim.
  return { (job[1] == 'd' or job[1] == 'f') and job[1] or 'r', 0 }
end
local org, made, us = job[3], tonumber(job[4]), tonumber(ARGV[6])
take_from('a', org, id)
local entry = ARGV[7]
redis.call('RPUSH', base .. K.errors .. id, entry)
redis.call('LTRIM', base .. K.errors .. id, -ARGV[8], -1)
local started = int(math.floor((now_us - us) / 1000))
if ARGV[3] == '1' or made >= tonumber(job[5]) then
  redis.call('HSET', key, 'st', 'f', 'ec', ARGV[4], 'pt', started, 'ft', int(now_ms))
  put_in('f', org, int(now_us), id)
  count('f', org)
  count('us', org, us)
  count('r' .. bucket(us), org)
  event('failed', id, org)
  publish()
  return { 'f', 0 }
end
local delay = tonumber(ARGV[5])
if delay < 0 then delay = math.min(tonumber(job[6]) * 5 ^ (made - 1), 31622400000) end
local run_at = int(now_ms + delay)
redis.call('HSET', key, 'st', 'd', 'ec', ARGV[4], 'pt', started, 'ra', run_at, 'si', NOW)
redis.call('HDEL', key, 'pg', 'pm')
put_in('d', org, run_at, id)
announce_due(id, run_at)
count('rt', org)
event('retrying', id, org)
publish()
return { 'd', delay }

-- fail: active -> delayed (a retry is left) or failed.
-- KEYS: 1 the queue's base
-- ARGV: id, token, final, code, least_ms, run_us, error, errors_kept, group
--   least_ms: the next attempt comes after the backoff, and not before this; final 1: no retry; error is a
--   JSON object; group: what it has in common with errors of the same cause
-- returns: {outcome, delay ms}: "d" retried later, "f" failed, "k" failed, because it was cancelled, "r" refused
--       (the token does not hold the job)
-- errors: none
-- full server: runs
-- include: base share turns noting? limits? place rate? keyed? costs? locks? held? bucket backoff failures cancel?
local OUTSIDE = { timeout = true, out_of_memory = true, unknown_task = true, sealed = true }
-- Somebody's decision, which says nothing about the task: see `cx` in docs/redis-keys.md.
local DECIDED = { cancelled = true, revoked = true }
local id, token = ARGV[1], ARGV[2]
local key = base .. K.job .. id
local job = read(key, 'st', 'tk', 'o', 'am', 'ax', 'bo', 'cl', 'x', 'lk', 'n')
if job[2] ~= token then return { 'r', 0 } end
if job[1] ~= 'a' then
  -- Resent after a lost reply: the token stays in the record until the next claim.
  if job[1] == 'f' and job[7] then return { 'k', 0 } end
  return { (job[1] == 'd' or job[1] == 'f') and job[1] or 'r', 0 }
end
local org, made, us = job[3], within(job[4], 1, 1000000, 1), within(ARGV[6], 0, LONGEST_RUN, 0)
local started, kept = int(math.floor((now_us - us) / 1000)), within(ARGV[8], 1, 1000, 1)
if job[7] then
  local ok, entry = pcall(cjson.decode, ARGV[7])
  end_cancelled(id, 'a', ok and type(entry) == 'table' and entry or nil, us)
  count('us', org, us)
  count(bucket('r', us), org, 1, job[10])
  count('fr', nil, 1, job[10])
  publish()
  return { 'k', 0 }
end
local final = ARGV[3] == '1' or made >= whole(job[5], 1)
local delay = math.max(backoff(job[6], made), within(ARGV[5], 0, LONGEST_MS, 0))
local run_at = int(now_ms + delay)
take_from('a', org, id)
if job[9] then free_locks(id, token, job[9]) end
left_active(id, org, us)
redis.call('RPUSH', base .. K.errors .. id, ARGV[7])
redis.call('LTRIM', base .. K.errors .. id, -kept, -1)
if final then
  redis.call('HSET', key, 'st', 'f', 'ec', ARGV[4], 'pt', started, 'ft', NOW)
  put_in('f', org, int(now_us), id)
  count_failed(org, job[10], ARGV[4])
  if not DECIDED[ARGV[4]] then count_group('f', ARGV[4], ARGV[9]) end
  count('fr', nil, 1, job[10])
  if DECIDED[ARGV[4]] then count('cx', org) end
  count('us', org, us)
  count(bucket('r', us), org, 1, job[10])
  event('failed', id, org)
  -- Its worker was interrupted or killed before it could report the end, or had no code to do so.
  if OUTSIDE[ARGV[4]] then ended_outside(id, job[8]) end
  publish()
  return { 'f', 0 }
end
redis.call('HSET', key, 'st', 'd', 'ec', ARGV[4], 'pt', started, 'ra', run_at, 'si', NOW)
redis.call('HDEL', key, 'pg', 'pm')
put_in('d', org, run_at, id)
announce_due(id, run_at)
count('rt', org)
count('tt', nil, 1, job[10])
count_group('r', ARGV[4], ARGV[9])
count('ux', org, us)
event('retrying', id, org)
publish()
return { 'd', delay }

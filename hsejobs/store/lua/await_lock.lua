-- await_lock: active -> delayed until a lock is handed over; no attempt used, the place in the queue kept.
-- KEYS: 1 the queue's base
-- ARGV: id, token, lock
-- returns: the new state: "d", or "w" if the lock was free by now; "k" failed, because it was cancelled; "r" refused
-- errors: none
-- full server: runs
-- include: base share turns noting? limits? place rate? keyed? costs? locks held? failures? cancel?
local id, token, lock = ARGV[1], ARGV[2], ARGV[3]
local key, waiters = base .. K.job .. id, base .. K.waiters .. lock
local job = read(key, 'st', 'tk', 'o', 'am', 'sc', 'lk', 'p', 'cl')
if job[8] and job[2] == token and (job[1] == 'a' or job[1] == 'f') then
  if job[1] == 'a' then
    end_cancelled(id, 'a')
    publish()
  end
  return 'k'
end
if job[2] ~= token or (job[1] ~= 'a' and job[1] ~= 'd' and job[1] ~= 'w') then return 'r' end
-- Resent after a lost reply: the token stays in the record until the next claim.
if job[1] ~= 'a' then return job[1] end
local org, place = job[3], redis.call('ZSCORE', waiters, id) or place_of(job[5], job[7])
if job[6] then free_locks(id, token, job[6]) end
redis.call('ZADD', waiters, place, id)
local first = redis.call('ZRANGE', waiters, 0, 0)[1] == id
local run_at = int(now_ms + (first and LOCK_FIRST_MS or LOCK_REST_MS))
take_from('a', org, id)
left_active(id, org)
redis.call('HSET', key, 'st', 'd', 'am', within(job[4], 1, 1000000, 1) - 1, 'ra', run_at, 'si', NOW,
  'lk', cjson.encode({ lock }))
redis.call('HDEL', key, 'pg', 'pm')
put_in('d', org, run_at, id)
announce_due(id, run_at)
event('postponed', id, org)
if not holder_of(lock) then hand_over(lock) end
publish()
return read(key, 'st')[1]

-- key: gives a claimed job the key that its producer did not give it. Without room, the job is parked:
-- active -> waiting; no attempt used, the place in the queue kept.
-- KEYS: 1 the queue's base
-- ARGV: id, token, key
-- returns: 1 if the job may run, 0 if it was parked, -1 if the token does not hold it
-- errors: none
-- full server: runs
-- include: base share turns noting? limits? place rate? keyed? costs? locks?
local id, token, own = ARGV[1], ARGV[2], ARGV[3]
local key = base .. K.job .. id
local job = read(key, 'st', 'tk', 'o', 'am', 'sc', 'p', 'n', 'lk', 'ky', 'cl')
if job[1] ~= 'a' or job[2] ~= token then return -1 end
-- The claim has counted it, or an earlier copy of this call; or it is cancelled, which its run finds out.
if job[9] or job[10] then return 1 end
local org, task = job[3], job[7] or ''
redis.call('HSET', key, 'ky', own)
if key_room(task, own) then
  key_take(task, own, id)
  return 1
end
local place = place_of(job[5], job[6])
take_from('a', org, id)
free_locks(id, token, job[8])
redis.call('HSET', key, 'st', 'w', 'am', within(job[4], 1, 1000000, 1) - 1, 'si', NOW)
redis.call('HDEL', key, 'tk', 'pg', 'pm')
left_active(id, org)
park_job(id, task, own, org, place)
event('waiting', id, org)
publish()
return 0

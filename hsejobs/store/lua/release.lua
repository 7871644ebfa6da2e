-- release: active -> waiting; no attempt used, the place in the queue kept.
-- KEYS: 1 the queue's base
-- ARGV: each: id, token
-- returns: how many were released (jobs that their token no longer holds are skipped)
-- errors: none
-- full server: runs
-- include: base place locks
local released = 0
for a = 1, #ARGV, 2 do
  local id = ARGV[a]
  local key = base .. K.job .. id
  local job = read(key, 'st', 'tk', 'o', 'am', 'sc', 'p', 'lk')
  if job[1] == 'a' and job[2] == ARGV[a + 1] then
    local place = place_of(job[5], job[6])
    take_from('a', job[3], id)
    free_locks(id, job[2], job[7])
    redis.call('HSET', key, 'st', 'w', 'am', within(job[4], 1, 1000000, 1) - 1, 'sc', place, 'si', NOW)
    redis.call('HDEL', key, 'tk', 'pg', 'pm')
    put_in('w', job[3], place, id)
    event('waiting', id, job[3])
    released = released + 1
  end
end
if released > 0 then
  ring()
  publish()
end
return released

-- release: active -> waiting; no attempt used, the place in the queue kept. A cancelled job fails.
-- KEYS: 1 the queue's base
-- ARGV: each: id, token
-- returns: how many their token still held: all others are skipped
-- errors: none
-- full server: runs
-- include: base share turns noting? limits? place rate? keyed? costs? locks? held? failures? cancel?
local released = 0
for a = 1, #ARGV, 2 do
  local id = ARGV[a]
  local key = base .. K.job .. id
  local job = read(key, 'st', 'tk', 'o', 'am', 'sc', 'p', 'cl', 'lk', 'ky')
  if job[1] == 'a' and job[2] == ARGV[a + 1] then
    released = released + 1
    if job[7] then
      end_cancelled(id, 'a')
    else
      local place = place_of(job[5], job[6])
      take_from('a', job[3], id)
      if job[8] then free_locks(id, job[2], job[8]) end
      left_active(id, job[3])
      redis.call('HSET', key, 'st', 'w', 'am', within(job[4], 1, 1000000, 1) - 1, 'sc', place, 'si', NOW)
      redis.call('HDEL', key, 'tk', 'pg', 'pm')
      key_back(id, job[9], place)
      put_in('w', job[3], place, id)
      event('waiting', id, job[3])
    end
  end
end
if released > 0 then
  ring()
  publish()
end
return released

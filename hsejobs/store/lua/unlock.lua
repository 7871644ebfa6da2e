-- unlock: frees a Huey lock, for the first job that waits for it.
-- KEYS: 1 the queue's base
-- ARGV: lock, id, token
--   id and token '': from any holder; else only if this attempt holds it
-- returns: 1 if it was freed, else 0
-- errors: none
-- full server: runs
-- include: base share turns noting? limits? place locks
local lock, id = ARGV[1], ARGV[2]
local value = redis.call('GET', base .. K.value .. lock)
if not value then return 0 end
if id ~= '' then
  if value ~= id .. ' ' .. ARGV[3] then return 0 end
  local key, left = base .. K.job .. id, {}
  for _, one in ipairs(locks_of(read(key, 'lk')[1])) do
    if one ~= lock then left[#left + 1] = one end
  end
  if #left > 0 then redis.call('HSET', key, 'lk', cjson.encode(left)) else redis.call('HDEL', key, 'lk') end
end
hand_over(lock)
publish()
return 1

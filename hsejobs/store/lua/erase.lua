-- erase: removes jobs of an organization by id, in any index; running jobs stay.
-- KEYS: 1 the queue's base
-- ARGV: organization; each: id
-- returns: {removed, running}
-- errors: none
-- include: base share turns noting? limits? place rate? keyed? locks? held? family? delete
local removed, running, gone = 0, 0, {}
for a = 2, #ARGV do
  -- A key that is not a hash belongs to another program: remove it from the index, keep the key.
  local job = read(base .. K.job .. ARGV[a], 'st', 'o')
  if job[2] == ARGV[1] then
    if job[1] == 'a' and redis.call('ZSCORE', base .. K.active, ARGV[a]) then
      running = running + 1
    else
      delete_job(ARGV[a], STATE[job[1]] and job[1] or 'f', ARGV[1])
      removed = removed + 1
      gone[ARGV[a]] = true
    end
  elseif not job[1] then
    for state in pairs(STATE) do take_from(state, ARGV[1], ARGV[a]) end
  end
end
if removed > 0 then
  -- An id may name the organization.
  local noted = redis.call('HGETALL', base .. K.sentback)
  for i = 1, #noted, 2 do
    if gone[string.match(noted[i + 1], '^%d+ (.+)$') or ''] then
      redis.call('HDEL', base .. K.sentback, noted[i])
    end
  end
end
publish()
return { removed, running }

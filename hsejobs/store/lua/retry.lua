-- retry: failed -> waiting, by hand: a fresh budget of attempts, its own priority, history kept.
-- KEYS: 1 the queue's base
-- ARGV: organization; each: id
--   organization '' for any
-- returns: for each id "ok", "missing" or the letter of the state it is in
-- errors: none
-- full server: runs
-- include: base place
local only, out, moved = ARGV[1], {}, false
for a = 2, #ARGV do
  local id = ARGV[a]
  local key = base .. K.job .. id
  local job = read(key, 'st', 'o', 'p')
  local state = state_of(job[1])
  if not is_there(key, job, job[1]) or (only ~= '' and job[2] ~= only) then
    out[#out + 1] = 'missing'
  elseif state ~= 'f' then
    out[#out + 1] = state
  else
    if not STATE[job[1]] then take_from_all(job[2], id) end
    to_waiting(id, 'f', job[2], job[3], { 'am', '0', 'ws', NOW })
    redis.call('HDEL', key, 'ft', 'sl', 'ec', 'tk', 'pg', 'pm', 'pf', 'ra')
    event('waiting', id, job[2])
    out[#out + 1] = 'ok'
    moved = true
  end
end
if moved then ring() end
publish()
return out

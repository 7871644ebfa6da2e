-- promote: delayed -> waiting, by hand.
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
  if not is_there(key, job, job[1]) or (only ~= '' and job[2] ~= only) then
    out[#out + 1] = 'missing'
  elseif job[1] ~= 'd' then
    out[#out + 1] = state_of(job[1])
  else
    to_waiting(id, 'd', job[2], job[3], { 'ws', NOW })
    event('waiting', id, job[2])
    out[#out + 1] = 'ok'
    moved = true
  end
end
if moved then ring() end
publish()
return out

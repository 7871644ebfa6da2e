-- promote: delayed -> waiting, manually.
-- KEYS: 1 the queue's base
-- ARGV: organization, moment, entry; each: id, seen
--   organization '' for any; moment: Redis ms after which jobs must not have entered the state, '' for none; seen: the
--   version (lib/asked) that the user saw, '' for any; entry: lib/audit
-- returns: for each id "ok", "missing", "changed" (has left the state since and come back) or the letter
--       of the state it is in
-- errors: none
-- full server: runs
-- include: base share turns noting? limits? place version asked audit?
local only, moment, out, moved = ARGV[1], tonumber(ARGV[2]), {}, false
for a = 4, #ARGV, 2 do
  local id = ARGV[a]
  local key = base .. K.job .. id
  local job = read(key, 'st', 'o', 'p')
  if not is_there(key, job, job[1]) or (only ~= '' and job[2] ~= only) then
    out[#out + 1] = 'missing'
  elseif job[1] ~= 'd' then
    out[#out + 1] = state_of(job[1])
  elseif not as_seen(id, 'd', ARGV[a + 1]) or (moment and not here_at(id, 'd', moment)) then
    out[#out + 1] = 'changed'
  else
    to_waiting(id, 'd', job[2], job[3], { 'ws', NOW })
    event('waiting', id, job[2])
    note_act(id, job[2])
    out[#out + 1] = 'ok'
    moved = true
  end
  if out[#out] ~= 'ok' and out[#out] ~= 'missing' then note_refused(id, job[2]) end
end
if moved then ring() end
publish()
record_act(ARGV[3], #ARGV == 3)
return out

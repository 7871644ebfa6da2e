-- retry: failed -> waiting, manually: all attempts again, the same priority, the history kept.
-- KEYS: 1 the queue's base
-- ARGV: organization, moment, entry; each: id, seen
--   organization '' for any; moment: Redis ms after which jobs must not have entered the state, '' for none; seen: the
--   version (lib/asked) that the user saw, '' for any; entry: lib/audit
-- returns: for each id "ok", "missing", "changed" (has left the state since and come back) or the letter
--       of the state it is in; "superseded": another job, which exists, runs instead of it
-- errors: none
-- full server: runs
-- include: base share turns noting? limits? place version asked audit?
local only, moment, out, moved = ARGV[1], tonumber(ARGV[2]), {}, false
for a = 4, #ARGV, 2 do
  local id = ARGV[a]
  local key = base .. K.job .. id
  local job = read(key, 'st', 'o', 'p', 'ft', 'sb')
  local state = state_of(job[1])
  if not is_there(key, job, job[1]) or (only ~= '' and job[2] ~= only) then
    out[#out + 1] = 'missing'
  elseif state ~= 'f' then
    out[#out + 1] = state
  elseif not as_seen(id, 'f', ARGV[a + 1]) or (moment and whole(job[4], 0) > moment) then
    out[#out + 1] = 'changed'
  elseif job[5] and redis.call('EXISTS', base .. K.job .. job[5]) == 1 then
    out[#out + 1] = 'superseded'
  else
    if not STATE[job[1]] then take_from_all(job[2], id) end
    to_waiting(id, 'f', job[2], job[3], { 'am', '0', 'ws', NOW, 'si', NOW })
    redis.call('HDEL', key, 'ft', 'sl', 'ec', 'tk', 'pg', 'pm', 'pf', 'bs', 'ra', 'aa', 'al', 'cl', 'cn', 'sb')
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

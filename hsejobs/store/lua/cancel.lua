-- cancel: waiting, delayed -> failed; an active job is marked, and its consumer ends it.
-- From then on, no outcome of the marked job is written: whatever its worker reports, it fails.
-- KEYS: 1 the queue's base
-- ARGV: organization, owner, by, reason, ask, entry; each: id, seen
--   organization and owner (the user who added the job): '' for any; by: who cancels; reason: '' for none;
--   ask: identifies this call, so that a resent call gets the same reply; seen: the version (lib/asked) that
--   the user saw, '' for any; entry: lib/audit
-- returns: for each id "ok", "again" (another call has marked it, which stays as it is), "missing", "forbidden" (another user's), "changed"
--       (has left the state since and come back) or the letter of the state it is in
-- errors: none
-- full server: runs
-- include: base share turns noting? limits? place rate? keyed? costs? locks? held? version asked failures cancel audit?
local only, owner, ask, out, marked = ARGV[1], ARGV[2], ARGV[5], {}, false
-- Also of jobs that the actor may not see or touch, which leave no trace.
local settled = { ok = true, missing = true, forbidden = true }
local cancel = cjson.encode({ by = ARGV[3], reason = ARGV[4] ~= '' and ARGV[4] or nil, at = now_ms })

for a = 7, #ARGV, 2 do
  local id, seen = ARGV[a], ARGV[a + 1]
  local key = base .. K.job .. id
  local job = read(key, 'st', 'o', 'u', 'cl', 'cn')
  local state = state_of(job[1])
  if not is_there(key, job, job[1]) or (only ~= '' and job[2] ~= only) then
    out[#out + 1] = 'missing'
  elseif owner ~= '' and job[3] ~= owner then
    out[#out + 1] = 'forbidden'
  elseif job[4] and job[5] == ask then
    out[#out + 1] = 'ok'
  elseif state == 'c' or state == 'f' or (seen ~= '' and string.sub(seen, 1, 1) ~= state) then
    out[#out + 1] = state
  elseif not as_seen(id, state, seen) then
    out[#out + 1] = 'changed'
  else
    if not job[4] then redis.call('HSET', key, 'cl', cancel, 'cn', ask) end
    local lease = state == 'a' and redis.call('ZSCORE', base .. K.active, id)
    if state ~= 'a' or whole(lease, 0) <= now_ms then
      -- A job whose lease has expired has no worker that could end it.
      end_cancelled(id, state)
    else
      redis.call('ZADD', base .. K.cancels, NOW, id)
      event('cancelling', id, job[2])
      marked = true
    end
    if not job[4] then note_act(id, job[2]) end
    out[#out + 1] = job[4] and 'again' or 'ok'
  end
  if not settled[out[#out]] then note_refused(id, job[2]) end
end
if marked then redis.pcall('PUBLISH', base .. K.timer, NOW) end
publish()
record_act(ARGV[6], #ARGV == 6)
return out

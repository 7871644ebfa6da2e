-- remove: any state but active -> gone. It returns a copy for `restore`.
-- KEYS: 1 the queue's base
-- ARGV: organization, entry; each: id, seen
--   organization '' for any; seen: the version (lib/asked) that the user saw, '' for any; entry: lib/audit
-- returns: for each id {"ok", id, score, hash, payload, extras, result, errors, logs, marks, checkpoint,
--       Huey's revocation, when it was ended from outside if no chord knows it yet},
--       {"missing", id}, {"changed", id} (has left its state since and come back) or {state letter, id};
--       absent strings are ''
-- errors: none
-- full server: runs
-- include: base share turns noting? limits? place rate? keyed? locks? held? version record family? delete asked audit?
local only, out = ARGV[1], {}
for a = 3, #ARGV, 2 do
  local id, seen = ARGV[a], ARGV[a + 1]
  local key = base .. K.job .. id
  local job = read(key, 'st', 'o')
  local state, org = state_of(job[1]), job[2]
  if not is_there(key, job, job[1]) or (only ~= '' and org ~= only) then
    out[#out + 1] = { 'missing', id }
  elseif state == 'a' or (seen ~= '' and string.sub(seen, 1, 1) ~= state) then
    out[#out + 1] = { state, id }
  elseif not as_seen(id, state, seen) then
    out[#out + 1] = { 'changed', id }
  else
    local score = redis.call('ZSCORE', index(state), id)
    out[#out + 1] = {
      'ok', id,
      score or '0',
      soft('HGETALL', base .. K.job .. id),
      soft('GET', base .. K.payload .. id) or '',
      soft('GET', base .. K.extras .. id) or '',
      soft('GET', base .. K.result .. id) or '',
      soft('LRANGE', base .. K.errors .. id, 0, -1) or {},
      soft('LRANGE', base .. K.logs .. id, 0, -1) or {},
      soft('SMEMBERS', base .. K.marks .. id) or {},
      soft('GET', base .. K.checkpoint .. id) or '',
      redis.call('HGET', base .. K.revoked, 'r:' .. id) or '',
      redis.call('ZSCORE', base .. K.ended, id) or '',
    }
    -- Otherwise an entry without a record would be left where the job really is.
    if not score then take_from_all(org, id) end
    delete_job(id, STATE[job[1]] and state, org, UNDO_MS)
    note_act(id, org)
  end
  local said = out[#out][1]
  if said ~= 'ok' and said ~= 'missing' then note_refused(id, org) end
end
publish()
record_act(ARGV[2], #ARGV == 2)
return out

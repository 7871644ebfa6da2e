-- remove: any state but active -> gone. The copy that comes back is what `restore` takes.
-- KEYS: 1 the queue's base
-- ARGV: organization; each: id, seen
--   organization '' for any; seen: the version (lib/asked) that was looked at, '' for any
-- returns: for each id {"ok", id, score, hash, payload, extras, result, errors, logs, marks},
--       {"missing", id}, {"changed", id} (left its state since, and came back to it) or {state letter, id};
--       absent strings are ''
-- errors: none
-- include: base delete version asked
local only, out = ARGV[1], {}
for a = 2, #ARGV, 2 do
  local id, seen = ARGV[a], ARGV[a + 1]
  local job = redis.call('HMGET', base .. K.job .. id, 'st', 'o')
  local state, org = job[1], job[2]
  if not state or (only ~= '' and org ~= only) then
    out[#out + 1] = { 'missing', id }
  elseif state == 'a' or (seen ~= '' and string.sub(seen, 1, 1) ~= state) then
    out[#out + 1] = { state, id }
  elseif not as_seen(id, state, seen) then
    out[#out + 1] = { 'changed', id }
  else
    out[#out + 1] = {
      'ok', id,
      redis.call('ZSCORE', index(state), id) or '0',
      redis.call('HGETALL', base .. K.job .. id),
      redis.call('GET', base .. K.payload .. id) or '',
      redis.call('GET', base .. K.extras .. id) or '',
      redis.call('GET', base .. K.result .. id) or '',
      redis.call('LRANGE', base .. K.errors .. id, 0, -1),
      redis.call('LRANGE', base .. K.logs .. id, 0, -1),
      redis.call('SMEMBERS', base .. K.marks .. id),
    }
    delete_job(id, state, org)
  end
end
publish()
return out

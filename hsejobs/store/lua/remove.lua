-- remove: any state but active -> gone. The copy that comes back is what `restore` takes.
-- KEYS: 1 the queue's base
-- ARGV: organization; each: id
--   organization '' for any
-- returns: for each id {"ok", id, score, hash, payload, extras, result, errors, logs, marks},
--       {"missing", id} or {state letter, id}; absent strings are ''
-- errors: none
-- include: base delete
local only, out = ARGV[1], {}
for a = 2, #ARGV do
  local id = ARGV[a]
  local job = redis.call('HMGET', base .. K.job .. id, 'st', 'o')
  local state, org = job[1], job[2]
  if not state or (only ~= '' and org ~= only) then
    out[#out + 1] = { 'missing', id }
  elseif state == 'a' then
    out[#out + 1] = { 'a', id }
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
    delete_job(id, state, org, UNDO_MS)
  end
end
publish()
return out

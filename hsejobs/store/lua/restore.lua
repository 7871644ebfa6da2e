-- restore: gone -> the previous state, from the copy that `remove` returned.
-- KEYS: 1 the queue's base
-- ARGV: organization, id, score, payload, extras, result, checkpoint, revocation, ended, entry; each: value
--   values: number of hash values, the hash, number of errors, the errors,
--   number of log lines, the lines, the marks; organization '' for any; entry: lib/audit
-- returns: "ok", "back" if this job was restored before (the reply was lost, and the call is resent),
--       "exists" if a new job uses the id, "missing" if it is another organization's
-- errors: none
-- include: base share turns noting? limits? place rate? keyed? locks? family? delete audit?
local id = ARGV[2]
local key = base .. K.job .. id
local at = 11
local function take()
  local values = {}
  local n = whole(ARGV[at], 0)
  for i = 1, n do values[i] = ARGV[at + i] end
  at = at + n + 1
  return values
end
local hash, errors, logs = take(), take(), take()
local job = {}
for i = 1, #hash, 2 do job[hash[i]] = hash[i + 1] end
if ARGV[1] ~= '' and job.o ~= ARGV[1] then return 'missing' end
if redis.call('EXISTS', key) == 1 then
  local there = read(key, 'ct', 're')
  local back = there[2] and there[1] == job.ct
  if not back then note_refused(id, job.o) end
  record_act(ARGV[10], true)
  return back and 'back' or 'exists'
end
local state, score = state_of(job.st), int(whole(ARGV[3], 0))
-- A parked job: its key may have room by now.
if state == 'w' and tonumber(score) >= BEHIND then score = place_of(job.sc, job.p) end
redis.call('HSET', key, unpack(hash))
-- Earlier actions on all jobs do not apply to it: it did not exist then.
redis.call('HSET', key, 're', NOW)
if job.lk then
  -- The removal gave up its place among those that wait for a lock: it tries again at once.
  redis.call('HDEL', key, 'lk')
  if state == 'd' then
    score = NOW
    redis.call('HSET', key, 'ra', NOW)
  end
end
redis.call('SET', base .. K.payload .. id, ARGV[4])
if ARGV[5] ~= '' then redis.call('SET', base .. K.extras .. id, ARGV[5]) end
if ARGV[6] ~= '' then redis.call('SET', base .. K.result .. id, ARGV[6]) end
if ARGV[7] ~= '' then redis.call('SET', base .. K.checkpoint .. id, ARGV[7]) end
if ARGV[8] ~= '' then
  redis.call('HSET', base .. K.revoked, 'r:' .. id, ARGV[8])
  redis.call('EXPIRE', base .. K.revoked, REVOKED_TTL)
end
if ARGV[9] ~= '' then redis.call('ZADD', base .. K.ended, whole(ARGV[9], now_ms), id) end
for _, entry in ipairs(errors) do redis.call('RPUSH', base .. K.errors .. id, entry) end
for _, line in ipairs(logs) do redis.call('RPUSH', base .. K.logs .. id, line) end
for i = at, #ARGV do redis.call('SADD', base .. K.marks .. id, ARGV[i]) end
if job.o then redis.call('ZREM', base .. K.gone, grave(id, job.ct, job.af, job.o)) end
put_in(state, job.o, score, id)
if job.fa then join_family(id, job.fa) end
if job.o then note_org(job.o) end
count('rs', job.o)
event('restored', id, job.o)
if state == 'w' then ring() end
if state == 'd' then redis.pcall('PUBLISH', base .. K.timer, score) end
publish()
note_act(id, job.o)
record_act(ARGV[10], true)
return 'ok'

-- act_add: adds one job by hand: a job that a person wrote, also instead of one that failed, or a run of a schedule
-- outside its slots.
-- KEYS: 1 the queue's base
-- ARGV: name, priority, delay_ms, attempts, backoff_ms, timeout_ms, extras, tenant_backlog, organization, user, signature, role, key, family, id, nonce, payload, schedule, last, entry, only, instead, seen
--   schedule: whose run it is, '' for none; last: the id of the run that the user saw as its last one, '-' for none yet,
--   '' for any; entry: lib/audit; instead: the failed job that this one replaces, '' for none, of the organization `only`
--   ('' for any), in the version `seen` (lib/asked)
-- returns: the reply of lib/add, or "changed" if the schedule has run since; of the failed job: "missing", "changed" (has
--       left the state since and come back), "superseded" (by another one that exists) or the letter of its state
-- errors: none
-- include: base share turns noting? limits? place family? add version asked audit?
local id, schedule, last, instead = ARGV[15], ARGV[18], ARGV[19], ARGV[22]
local before = redis.call('EXISTS', base .. K.job .. id) == 1
if schedule ~= '' and last ~= '' and not before and (read(base .. K.lastruns, schedule)[1] or '-') ~= last then
  record_act(ARGV[20], true)
  return 'changed'
end
if instead ~= '' and not before then
  local key = base .. K.job .. instead
  local job = read(key, 'st', 'o', 'sb')
  local state, answer = state_of(job[1]), nil
  if not is_there(key, job, job[1]) or (ARGV[21] ~= '' and job[2] ~= ARGV[21]) then
    return 'missing'
  elseif state ~= 'f' then
    answer = state
  elseif not as_seen(instead, 'f', ARGV[23]) then
    answer = 'changed'
  elseif job[3] and redis.call('EXISTS', base .. K.job .. job[3]) == 1 then
    answer = 'superseded'
  end
  if answer then
    note_refused(instead, job[2])
    record_act(ARGV[20], true)
    return answer
  end
end
local said = add_job(9, 15)
if instead ~= '' and not before and string.sub(said, 1, 1) == '1' then
  redis.call('HSET', base .. K.job .. instead, 'sb', id)
end
if schedule ~= '' then redis.call('HSET', base .. K.lastruns, schedule, id) end
if said == '1w' then ring() end
count_added()
publish()
local owner = ARGV[9] ~= '' and ARGV[9] or nil
if string.sub(said, 1, 1) == '0' then owner = read(base .. K.job .. id, 'o')[1] end
if string.sub(said, 1, 1) ~= '1' then
  note_refused(id, owner)
elseif not before then
  note_act(id, owner)
end
record_act(ARGV[20], true)
return said

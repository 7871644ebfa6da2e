-- act_add: adds one job by hand: a job that a person wrote, or a run of a schedule outside its slots.
-- KEYS: 1 the queue's base
-- ARGV: name, priority, delay_ms, attempts, backoff_ms, timeout_ms, extras, tenant_backlog, id, nonce, organization, user, signature, payload, role, key, schedule, last, entry
--   schedule: whose run it is, '' for none; last: the id of the run that the user saw as its last one, '-' for none yet,
--   '' for any; entry: lib/audit
-- returns: the reply of lib/add, or "changed" if the schedule has run since
-- errors: none
-- include: base share turns noting? limits? place add audit?
local id, schedule, last = ARGV[9], ARGV[17], ARGV[18]
local before = redis.call('EXISTS', base .. K.job .. id) == 1
if schedule ~= '' and last ~= '' and not before and (read(base .. K.lastruns, schedule)[1] or '-') ~= last then
  record_act(ARGV[19], true)
  return 'changed'
end
local said = add_job(9)
if schedule ~= '' then redis.call('HSET', base .. K.lastruns, schedule, id) end
if said == '1w' then ring() end
publish()
if string.sub(said, 1, 1) == '1' and not before then note_act(id, ARGV[11] ~= '' and ARGV[11] or nil) end
record_act(ARGV[19], true)
return said

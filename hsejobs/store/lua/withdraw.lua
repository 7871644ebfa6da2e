-- withdraw: removes the file of a job that is not active; the job stays.
-- KEYS: 1 the queue's base
-- ARGV: organization, id, seen, entry
--   organization '' for any; seen: the artifact that the user saw, '' for any; entry: lib/audit
-- returns: "ok", "missing", "changed" (it has another file) or "a" if the job is active
-- errors: none
-- include: base share turns noting? limits? place rate? keyed? locks? delete audit?
local key = base .. K.job .. ARGV[2]
local job = redis.call('HMGET', key, 'st', 'o', 'af')
if not job[1] or (ARGV[1] ~= '' and job[2] ~= ARGV[1]) then return 'missing' end
if job[1] == 'a' or (ARGV[3] ~= '' and job[3] ~= ARGV[3]) then
  note_refused(ARGV[2], job[2])
  record_act(ARGV[4], true)
  return job[1] == 'a' and 'a' or 'changed'
end
bury(ARGV[2], job[2], 0)
redis.call('HDEL', key, 'af', 'ae')
note_act(ARGV[2], job[2])
record_act(ARGV[4], true)
return 'ok'

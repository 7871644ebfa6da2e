-- withdraw: removes the file of a job that is not active; the job stays.
-- KEYS: 1 the queue's base
-- ARGV: organization, id
--   organization '' for any
-- returns: "ok", "missing" or "a" if the job is active
-- errors: none
-- include: base share turns noting? limits? place rate? keyed? locks? delete
local key = base .. K.job .. ARGV[2]
local job = redis.call('HMGET', key, 'st', 'o')
if not job[1] or (ARGV[1] ~= '' and job[2] ~= ARGV[1]) then return 'missing' end
if job[1] == 'a' then return 'a' end
bury(ARGV[2], job[2], 0)
redis.call('HDEL', key, 'af', 'ae')
return 'ok'

-- postpone: active -> delayed; no attempt used.
-- KEYS: 1 the queue's base
-- ARGV: id, token, delay_ms, limit_ms
--   limit_ms -1: none
-- returns: {outcome, ms since the job was first postponed}: "d", "r" refused, or "x" if that is
--   limit_ms or more: nothing is changed
-- errors: none
-- full server: runs
-- include: base place locks
local id, token = ARGV[1], ARGV[2]
local key = base .. K.job .. id
local job = read(key, 'st', 'tk', 'o', 'am', 'pf', 'lk')
if job[2] ~= token or (job[1] ~= 'a' and job[1] ~= 'd') then return { 'r', 0 } end
local first, limit = within(job[5], 0, now_ms, now_ms), whole(ARGV[4], -1)
if job[1] == 'a' and limit >= 0 and job[5] and now_ms - first >= limit then
  return { 'x', now_ms - first }
end
if job[1] == 'a' then
  local org, run_at = job[3], int(now_ms + within(ARGV[3], 0, LONGEST_MS, 0))
  local made = within(job[4], 1, 1000000, 1) - 1
  take_from('a', org, id)
  free_locks(id, token, job[6])
  redis.call('HSET', key, 'st', 'd', 'am', made, 'ra', run_at, 'pf', int(first), 'si', NOW)
  redis.call('HDEL', key, 'pg', 'pm')
  put_in('d', org, run_at, id)
  announce_due(id, run_at)
  event('postponed', id, org)
  publish()
end
return { 'd', now_ms - first }

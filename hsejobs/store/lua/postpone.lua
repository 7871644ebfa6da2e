-- postpone: active -> delayed; no attempt used.
-- KEYS: 1 the queue's base
-- ARGV: id, token, delay_ms, limit_ms, code, reason
--   limit_ms -1: none; code: why this consumer sends the job back although another one may run it, or '';
--   reason: a code and, after a space, what it is about: kept for readers while the job is delayed, or ''
-- returns: {outcome, ms since the job was first postponed}: "d", "k" failed, because it was
--       cancelled, "r" refused, or "x" if that is limit_ms or more: nothing is changed
-- errors: none
-- full server: runs
-- include: base share turns noting? limits? place rate? keyed? costs? locks? held? failures? cancel? sentback
local id, token, code = ARGV[1], ARGV[2], ARGV[5]
local key = base .. K.job .. id
local job = read(key, 'st', 'tk', 'o', 'am', 'pf', 'ec', 'bs', 'n', 'cl', 'lk', 'pt')
if job[9] and job[2] == token and (job[1] == 'a' or job[1] == 'f') then
  if job[1] == 'a' then
    end_cancelled(id, 'a')
    publish()
  end
  return { 'k', 0 }
end
if job[2] ~= token or (job[1] ~= 'a' and job[1] ~= 'd') then return { 'r', 0 } end
-- A task's own postponements and those of consumers that cannot run the job are counted apart.
local field, began = 'pf', job[5]
if code ~= '' then field, began = 'bs', SENT_BACK[job[6]] and job[7] end
local first, limit = within(began, 0, now_ms, now_ms), whole(ARGV[4], -1)
if job[1] == 'a' and limit >= 0 and began and now_ms - first >= limit then
  return { 'x', now_ms - first }
end
if job[1] == 'a' then
  local org, run_at = job[3], now_ms + within(ARGV[3], 0, LONGEST_MS, 0)
  local made = within(job[4], 1, 1000000, 1) - 1
  if code ~= '' then run_at = send_back(id, code, job[8] or '', run_at, now_ms - first) end
  run_at = int(run_at)
  take_from('a', org, id)
  if job[10] then free_locks(id, token, job[10]) end
  local ran = within(now_ms - whole(job[11], now_ms), 0, LONGEST_MS, 0) * 1000
  left_active(id, org, ran)
  if ran > 0 then count('ux', org, ran) end
  redis.call('HSET', key, 'st', 'd', 'am', made, 'ra', run_at, field, int(first), 'si', NOW)
  redis.call('HDEL', key, 'pg', 'pm')
  -- With the time for which it holds: whatever delays the job next, also of an older release, sets another.
  if ARGV[6] ~= '' then redis.call('HSET', key, 'wy', run_at .. ' ' .. ARGV[6]) end
  if code ~= '' then
    redis.call('HSET', key, 'ec', code)
  elseif SENT_BACK[job[6]] then
    redis.call('HDEL', key, 'ec')
  end
  put_in('d', org, run_at, id)
  announce_due(id, run_at)
  event('postponed', id, org)
  publish()
end
return { 'd', now_ms - first }

-- sweep: moves due delayed jobs and stalls jobs with expired leases; every consumer calls it once a second,
-- and learns which active jobs are cancelled.
-- KEYS: 1 the queue's base
-- ARGV: max_stalls, limit, stall_limit, ended_by
--   limit: maximum of due jobs, stall_limit: of stalled jobs, at most 500 each; ended_by: Redis time in ms, 0 for
--   none: only leases that had ended by then are taken. The caller had an answer of that time: what ended
--   later may have ended while the server was silent, and its renewal be queued behind this call.
-- returns: {jobs moved to waiting or back to their places there, us until the next delayed job is due or -1, the stalled ids,
--       what became of each ("waiting", "failed" or "cancelled"), Redis time in ms,
--       id and token of each active job that is cancelled, the ids of jobs that were ended from outside and
--       whose chord does not know it yet, ms (0 or more) until the first lease ends that was left, if it
--       does within a second, or -1}
-- errors: none
-- full server: runs
-- include: base share turns noting? limits? place rate? keyed? costs? locks? held? settle? due failures? cancel? stall upkeep orgs
local max_stalls, limit = whole(ARGV[1], 0), within(ARGV[2], 1, 500, 1)
local stall_limit = within(ARGV[3], 0, 500, 0)
local ended_by, next_end = math.min(whole(ARGV[4], 0), now_ms), -1
if ended_by <= 0 then stall_limit = 0 end
local moved = move_due(limit)
local stalled, became = {}, {}
local dead = redis.call('ZRANGEBYSCORE', base .. K.active, '-inf', int(now_ms + 1000), 'WITHSCORES', 'LIMIT', 0, stall_limit)
for i = 1, #dead, 2 do
  local id, ends = dead[i], whole(dead[i + 1], 0)
  if ends > ended_by then
    next_end = math.max(0, ends - now_ms)
    break
  end
  local outcome = stall_job(id, max_stalls)
  if outcome then
    stalled[#stalled + 1] = id
    became[#became + 1] = outcome
  end
end
local opens, key_opens_at = keep_turns(limit), wake_keys(limit)
if key_opens_at and (not opens or key_opens_at < opens) then opens = key_opens_at end
if share()[TASKS] then moved = moved + set_back(limit) end
if (moved > 0 or #stalled > 0) and redis.call('ZCARD', base .. K.waiting) > 0 then ring() end
local next_due = -1
local first = redis.call('ZRANGE', base .. K.delayed, 0, 0, 'WITHSCORES')
if first[2] then next_due = within(first[2], now_ms, now_ms + LONGEST_MS, now_ms) - now_ms end
if opens then
  local left_ms = math.max(0, opens - now_ms)
  if next_due < 0 or left_ms < next_due then next_due = left_ms end
end
-- What is due in 0 ms has been due for up to one.
if next_due > 0 then next_due = next_due * 1000 - now_us % 1000 end
local cancelled = {}
for _, id in ipairs(redis.call('ZRANGE', base .. K.cancels, 0, 499)) do
  local job = read(base .. K.job .. id, 'st', 'tk', 'cl')
  if job[1] == 'a' and job[2] and job[3] then
    cancelled[#cancelled + 1] = id
    cancelled[#cancelled + 1] = job[2]
  else
    redis.call('ZREM', base .. K.cancels, id)
  end
end
local ended = {}
for _, id in ipairs(redis.call('ZRANGE', base .. K.ended, 0, 19)) do
  if read(base .. K.job .. id, 'st')[1] == 'f' then
    ended[#ended + 1] = id
  else
    redis.call('ZREM', base .. K.ended, id)
  end
end
tidy_orgs()
publish()
return { moved, next_due, stalled, became, now_ms, cancelled, ended, next_end }

-- Jobs that a consumer sent back because it does not know their task, or has no key for their secrets.
local SENT_BACK = { unknown_task = true, sealed = true }

-- When such a job may run: not before `run_at`, and later the longer it has been sent back (a sixteenth of
-- `since_ms`, at most SENT_BACK_MOST_MS). Those that no consumer took soon come back at most one every
-- SENT_BACK_GAP_MS, so that they leave time for other jobs. Notes the task, and the job of it that waits
-- longest, for the alert.
local function send_back(id, code, task, run_at, since_ms)
  local noted = base .. K.sentback
  run_at = math.max(run_at, now_ms + math.min(math.floor(since_ms / 16), SENT_BACK_MOST_MS))
  if since_ms >= SENT_BACK_SOON_MS then
    local turn = whole(redis.call('HGET', noted, ''), 0) + SENT_BACK_GAP_MS
    run_at = math.max(run_at, math.min(turn, now_ms + SENT_BACK_LATEST_MS))
    redis.call('HSET', noted, '', int(run_at))
  end
  local field = code .. ' ' .. task
  local known = redis.call('HGET', noted, field)
  local first = known and string.match(known, '^%d+ (.+)$')
  if first and first ~= id then
    local job = read(base .. K.job .. first, 'st', 'ec', 'bs')
    local waits = (job[1] == 'd' or job[1] == 'w') and job[2] == code
    if waits and whole(job[3], now_ms) < now_ms - since_ms then id = first end
  end
  if known or #redis.call('HVALS', noted) < SENT_BACK_KEPT then
    redis.call('HSET', noted, field, NOW .. ' ' .. id)
  end
  redis.call('EXPIRE', noted, SENT_BACK_TTL)
  return run_at
end

-- stats: the data of one queue for an overview: counts, the oldest waiting job, per-minute counters.
-- KEYS: 1 the queue's base
-- ARGV: organization, minutes
--   organization '' for all; minutes: how many, the current one included, at most 180
-- returns: {waiting, active, delayed, completed, failed, when it was paused in Redis ms or 0, ms since the longest
--       waiting job began to wait or -1, ms until the next delayed job or -1, live consumers, Redis time in ms,
--       the held tasks, since when no consumer lives in Redis ms or 0, then for each minute, newest first, its flat
--       hash}; of each held task its name, "<since in ms> <who>" and how many of its jobs are aside; for one
--       organization without <who> and with 0. No consumer lives since the last heartbeat or, if that is later, since
--       the start of a program that is to run some; 0: some live, or neither is known
-- errors: none
-- read only
-- include: base oldest
local only = ARGV[1]
local function name(state)
  return only == '' and index(state) or org_index(state, only)
end
local out = {}
for i, state in ipairs({ 'w', 'a', 'd', 'c', 'f' }) do out[i] = redis.call('ZCARD', name(state)) end
out[6] = is_paused() and math.max(1, whole(redis.pcall('GET', base .. K.paused), 1)) or 0
out[7] = out[1] > 0 and oldest_in(name('w')) or -1
local first = redis.call('ZRANGE', name('d'), 0, 0, 'WITHSCORES')
out[8] = first[2] and within(first[2], now_ms, now_ms + LONGEST_MS, now_ms) - now_ms or -1
out[9] = redis.call('ZCOUNT', base .. K.workers, int(now_ms - DEAD_MS), '+inf')
out[10] = now_ms
local tasks, found = {}, redis.call('HGETALL', base .. K.tasks)
for i = 1, #found, 2 do
  if found[i + 1] ~= '' then
    tasks[#tasks + 1] = found[i]
    -- Who acted on all organizations, and how many jobs these have, is not shown to one of them.
    tasks[#tasks + 1] = only == '' and found[i + 1] or string.match(found[i + 1], '^%d+')
    tasks[#tasks + 1] = only == '' and redis.call('ZCARD', base .. K.taskwaits .. found[i]) or 0
  end
end
out[11] = tasks
out[12] = 0
if out[9] == 0 then
  for _, name in ipairs({ K.lastseen, K.starting }) do
    out[12] = math.max(out[12], within(redis.pcall('GET', base .. name), 0, now_ms, 0))
  end
end
for back = 0, within(ARGV[2], 0, 180, 0) - 1 do
  local key = base .. K.minute .. (minute - back)
  if only ~= '' then key = key .. ':' .. only end
  out[13 + back] = redis.call('HGETALL', key)
end
return out

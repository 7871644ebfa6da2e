-- The ms since the longest waiting job of a sorted set of waiting jobs began to wait; -1 if none waits. The first one of
-- each priority, and of those that are parked, has waited longest.
local function oldest_in(waiting)
  local oldest = -1
  for priority = 1, 6 do
    local from = priority * PRIORITY_SPAN
    local first = redis.call('ZRANGEBYSCORE', waiting, int(from), int(from + PRIORITY_SPAN - 1), 'LIMIT', 0, 1)[1]
    if first then
      local job = read(base .. K.job .. first, 'ws', 'ct')
      oldest = math.max(oldest, now_ms - within(job[1] or job[2], 0, now_ms, now_ms))
    end
  end
  return oldest
end

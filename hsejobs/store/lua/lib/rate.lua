-- Rates that hold in every sliding window: a list of the times, in us, of the last `most` starts, newest first.
-- Returns how many of `want` may start now, and the ms at which the next one may.
local function rate_room(name, most, window_ms, want)
  local window = window_ms * 1000
  local length = redis.call('LLEN', name)
  if length > 0 and whole(redis.call('LRANGE', name, 0, 0)[1], 0) > now_us + window then
    -- The clock was set back by more than a window.
    redis.call('UNLINK', name)
    length = 0
  end
  -- Negative after `most` was lowered.
  local room = most - length
  if room >= want then return want, NOW end
  local oldest = redis.call('LRANGE', name, -(want - room + 1), -1)
  for i = #oldest, 1, -1 do
    local opens = whole(oldest[i], 0) + window
    if opens > now_us then return math.max(0, room), int(math.ceil(math.min(opens, now_us + window) / 1000)) end
    room = room + 1
    if room >= want then return want, NOW end
  end
  return math.max(0, room), NOW
end

local function rate_count(name, most, window_ms, started)
  for _ = 1, started do redis.call('LPUSH', name, int(now_us)) end
  redis.call('LTRIM', name, 0, most - 1)
  redis.call('PEXPIRE', name, int(window_ms))
end

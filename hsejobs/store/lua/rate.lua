-- rate: lets a call begin if fewer than `limit` began in the last `per_us`, else says when it may try again.
-- KEYS: 1 the queue's base
-- ARGV: rate, limit, per_us, nonce, id
--   nonce: identifies the block: a call that is repeated counts as one, at the time of the last;
--   id: the job that calls, '' outside a job
-- returns: 0 if it may begin now, else us until it may try again
-- errors: none
-- full server: runs
-- include: base
local limit, per = within(ARGV[2], 0, LARGEST, 0), within(ARGV[3], 1, LONGEST_MS * 1000, 1000000)
local nonce, id = ARGV[4], ARGV[5]
-- When the last ones began; the jobs that wait, by their order; until when each is expected back.
local starts, line, expected = base .. K.rate .. ARGV[1], base .. K.line .. ARGV[1], base .. K.expected .. ARGV[1]
local NOW_US = int(now_us)

-- Of another server's clock, before a failover: counted as now, or they would close the window for long.
for _, one in ipairs(redis.call('ZRANGEBYSCORE', starts, '(' .. NOW_US, '+inf', 'LIMIT', 0, 1000)) do
  redis.call('ZADD', starts, NOW_US, one)
end
redis.call('ZREMRANGEBYSCORE', starts, '-inf', '(' .. int(now_us - per))
if redis.call('ZSCORE', starts, nonce) then
  -- Until now it was in every window that others were let into, so it may move.
  redis.call('ZADD', starts, NOW_US, nonce)
  redis.call('PEXPIRE', starts, int(math.ceil(per / 1000) + 1))
  return 0
end
local used = redis.call('ZCARD', starts)
local free = math.max(0, limit - used)

local function forget(one)
  redis.call('ZREM', line, one)
  redis.call('ZREM', expected, one)
end

-- The oldest job of the best priority is first, however often it comes back.
local place
if id ~= '' then
  local job = read(base .. K.job .. id, 'st', 'p', 'ct')
  if job[1] == 'a' then
    place = int(within(job[2], 1, 5, DEFAULT_PRIORITY) * PRIORITY_SPAN + within(job[3], 0, PRIORITY_SPAN - 1, now_ms))
  end
end
for _, one in ipairs(redis.call('ZRANGEBYSCORE', expected, '-inf', NOW_US, 'LIMIT', 0, 1000)) do forget(one) end
local function count_ahead()
  if not place then return redis.call('ZCARD', line) end
  return redis.call('ZRANK', line, id) or redis.call('ZCOUNT', line, '-inf', place)
end
local ahead = count_ahead()
if free > 0 and ahead >= free then
  -- Slots are kept for the first in the line, unless they have ended meanwhile.
  for _, one in ipairs(redis.call('ZRANGE', line, 0, math.min(free, 100) - 1)) do
    local state = read(base .. K.job .. one, 'st')[1]
    if state ~= 'w' and state ~= 'd' and state ~= 'a' then forget(one) end
  end
  ahead = count_ahead()
end

if ahead < free then
  if place then forget(id) end
  redis.call('ZADD', starts, NOW_US, nonce)
  redis.call('PEXPIRE', starts, int(math.ceil(per / 1000) + 1))
  return 0
end
if limit == 0 then return math.ceil(per) end

-- Its slot is freed by the start that is `limit` places before it: one that was, or one of those ahead.
local nth, known = ahead - free, math.min(used, limit)
local slot = now_us
if nth % limit < known then
  local at = used - known + nth % limit
  slot = tonumber(redis.call('ZRANGE', starts, at, at, 'WITHSCORES')[2])
end
slot = slot + per * (math.floor(nth / limit) + 1) + 1
local until_us = math.min(slot, now_us + LONGEST_MS * 1000)
if place then
  redis.call('ZADD', line, 'NX', place, id)
  redis.call('ZADD', expected, int(until_us + RATE_GRACE_US), id)
  local last = tonumber(redis.call('ZRANGE', expected, -1, -1, 'WITHSCORES')[2])
  local ttl = int(math.ceil((last - now_us) / 1000) + 1)
  redis.call('PEXPIRE', line, ttl)
  redis.call('PEXPIRE', expected, ttl)
end
return math.max(1, math.ceil(until_us - now_us))

-- What the sweep does for turns: ageing, members that may come back, and jobs that other releases added.
local AGEING_MS = 900000
-- How many keys a sweep looks at for it, and how many jobs of each priority.
local AGEING_KEYS, AGEING_FIRST = 20, 20

-- How many times the ageing time a job has waited, and how many times it must have to get a better priority.
local function aged(job, priority, ageing)
  local since = whole(job[4]) or whole(job[5], now_ms)
  return (now_ms - since) / ageing, within(job[3], priority, 5, priority) - priority + 1
end

-- Moves those of up to `count` waiting jobs of a priority, from an offset on, that have waited for long to the
-- next better one. Returns how many stayed, and how many of those have waited long enough for one step: they
-- came from a worse priority, and must not hide the others.
local function age(priority, offset, count, ageing)
  local lowest, stayed, old = priority * PRIORITY_SPAN, 0, 0
  local found = redis.call('ZRANGEBYSCORE', base .. K.waiting, int(lowest), int(lowest + PRIORITY_SPAN - 1),
    'WITHSCORES', 'LIMIT', offset, count)
  for i = 1, #found, 2 do
    local id, place = found[i], whole(found[i + 1], 0) - PRIORITY_SPAN
    local key = base .. K.job .. id
    local job = read(key, 'st', 'o', 'p', 'ws', 'ct')
    local age_so_far, needed = aged(job, priority, ageing)
    if job[1] == 'w' and age_so_far >= needed then
      redis.call('HSET', key, 'sc', int(place))
      put_in('w', job[2], int(place), id)
    else
      stayed = stayed + 1
      if age_so_far >= 1 then old = old + 1 end
    end
  end
  return stayed, old, #found / 2
end

-- The same for the first parked jobs of a key.
local function age_line(name, ageing)
  for priority = 2, 5 do
    local lowest = priority * PRIORITY_SPAN
    local found = redis.call('ZRANGEBYSCORE', base .. K.keywaits .. name, int(lowest), int(lowest + PRIORITY_SPAN - 1),
      'WITHSCORES', 'LIMIT', 0, AGEING_FIRST)
    for i = 1, #found, 2 do
      local id, key = found[i], base .. K.job .. found[i]
      local job = read(key, 'st', 'o', 'p', 'ws', 'ct', 'sc')
      local place = whole(job[6], 0) - PRIORITY_SPAN
      local age_so_far, needed = aged(job, priority, ageing)
      if job[1] == 'w' and age_so_far >= needed and priority_of(place) == priority - 1 then
        place = int(place)
        redis.call('HSET', key, 'sc', place)
        leave_line(name, id, job[2], tonumber(found[i + 1]))
        join_line(name, id, job[2], place)
      end
    end
  end
end

local function age_parked(ageing)
  local from = now_ms % math.max(1, redis.call('ZCARD', base .. K.keyparked) - AGEING_KEYS + 1)
  for _, name in ipairs(redis.call('ZRANGE', base .. K.keyparked, from, from + AGEING_KEYS - 1)) do
    age_line(name, ageing)
  end
end

-- The first jobs of a priority have waited longest; if none of a few has waited long enough, no other one has.
local function age_waiting(limit)
  local ageing = within(redis.call('HGET', base .. K.share, 'g'), 0, LONGEST_MS, AGEING_MS)
  if ageing == 0 then return end
  for priority = 2, 5 do
    local stayed, old, looked = age(priority, 0, 3, ageing)
    if stayed < looked or old > 0 then age(priority, stayed, limit, ageing) end
  end
  age_parked(ageing)
end

-- Gives some of the parked members their turns back if they may run: their limit may have changed.
local function unpark_some()
  if not share()[PARKED] then return end
  local parked = base .. K.parked
  local parties, from = {}, now_ms % math.max(1, redis.call('ZCARD', parked) - 19)
  for _, member in ipairs(redis.call('ZRANGE', parked, from, from + 19)) do parties[string.sub(member, 2)] = true end
  for party in pairs(parties) do unpark(party) end
  if redis.call('ZCARD', parked) == 0 then unset_share(PARKED) end
end

-- Returns the ms at which a rate opens, nil if none is closed.
local function open_rate()
  if not share()[RATE] then return nil end
  local opens = whole(redis.call('HGET', base .. K.share, 'o'))
  if not opens then return nil end
  if opens > now_ms then return opens end
  redis.call('HDEL', base .. K.share, 'o')
  if redis.call('ZCARD', base .. K.waiting) > 0 then ring() end
  return nil
end

-- No job waits: what is left in `turns` is out of date. The virtual times begin again at 0 once nothing runs.
local function forget_turns()
  if not share()[ON] then return end
  redis.call('UNLINK', base .. K.turns, base .. K.unowned, base .. K.parked)
  if share()[PARKED] then unset_share(PARKED) end
  if redis.call('ZCARD', base .. K.active) > 0 then return end
  redis.call('UNLINK', base .. K.rested)
  redis.call('HDEL', base .. K.share, 'on', 's', 'c', 'w', 'v1', 'v2', 'v3', 'v4', 'v5')
  shared, times = nil, {}
end

-- Returns the ms of the next act, or nil.
local function keep_turns(limit)
  local opens = open_rate()
  if redis.call('ZCARD', base .. K.waiting) == 0 then
    forget_turns()
    return opens
  end
  age_waiting(limit)
  if not share()[ON] then return opens end
  note_old(limit)
  unpark_some()
  local from = whole(redis.call('HGET', base .. K.share, 'w'), 0)
  local before = redis.call('ZCARD', base .. K.turns)
  from = note_waiting(from, BEHIND - 1, 200)
  redis.call('HSET', base .. K.share, 'w', int(from or 0))
  if redis.call('ZCARD', base .. K.turns) > before then ring() end
  for priority = 1, 5 do
    local lowest = priority * PRIORITY_SPAN
    -- One that is alone is charged nothing, and what it used before that must not count against it later: those that
    -- come start at the smallest time of all that wait.
    local first = redis.call('ZRANGEBYSCORE', base .. K.turns, int(lowest), int(lowest + LATEST_TIME),
      'WITHSCORES', 'LIMIT', 0, 1)
    local time = not share()[FIFO] and whole(first[2], 0) - lowest or 0
    if time > time_of(priority) then
      times[priority] = time
      redis.call('HSET', base .. K.share, 'v' .. priority, int(time))
    end
    redis.call('ZREMRANGEBYSCORE', base .. K.rested, int(lowest), int(lowest + time_of(priority)))
  end
  return opens
end

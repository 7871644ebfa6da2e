-- Whose turn it is. A party is an organization, or '' for the jobs of none. A member of `turns` is a party with
-- waiting jobs of one priority, `<priority><organization>`; its score is the priority and its virtual time,
-- which grows by the running time of its jobs in us, divided by its weight (start-time fair queueing).
-- In a plain FIFO the score is the place of its first job. Entries of `turns` whose jobs have gone are
-- removed when their turn comes. Jobs at the limit of their key have scores above BEHIND in `waiting`.
local BEHIND = 6 * PRIORITY_SPAN
local LATEST_TIME = PRIORITY_SPAN - 1
local FOREVER = 'inf'

-- The fields of `share`: rules (plain FIFO, limit, rate, limit of a tenant, overrides exist, ageing), state (turns
-- are in use, jobs added before that: highest number, cursor; members are parked; when a rate opens), virtual times.
local SHARE = { 'f', 'l', 'r', 't', 'x', 'g', 'on', 's', 'c', 'p', 'o', 'v1', 'v2', 'v3', 'v4', 'v5' }
local FIFO, LIMIT, RATE, TENANT, OVERRIDES, AGEING, ON, OLD, CURSOR, PARKED, OPENS, TIMES = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11
local shared

local function share()
  if not shared then
    shared = read(base .. K.share, unpack(SHARE))
    shared[FIFO] = shared[FIFO] == '0'
  end
  return shared
end

local function set_share(at, value)
  share()[at] = value
  redis.call('HSET', base .. K.share, SHARE[at], value)
end

local function unset_share(at)
  share()[at] = false
  redis.call('HDEL', base .. K.share, SHARE[at])
end

-- The virtual time of the last one served with this priority.
local function time_of(priority)
  return within(share()[TIMES + priority], 0, LATEST_TIME, 0)
end

local function score_at(priority, time)
  return priority * PRIORITY_SPAN + math.max(0, math.min(LATEST_TIME, math.floor(time + 0.5)))
end

local function priority_of(place)
  return math.floor(place / PRIORITY_SPAN)
end

-- The waiting jobs of a party, by place.
local function line_of(party)
  return party == '' and base .. K.unowned or org_index('w', party)
end

-- Adds a member to `turns` unless it is there or at a limit. One that comes, or comes back, does not get the
-- time that it did not use.
local function enter(party, place)
  local priority = priority_of(place)
  local member = priority .. party
  local score = redis.call('ZSCORE', base .. K.turns, member)
  if share()[FIFO] then
    if score and tonumber(score) <= place then return end
    score = place
  else
    if score then return end
    local rested = whole(redis.call('ZSCORE', base .. K.rested, member), 0)
    score = math.max(rested, score_at(priority, time_of(priority)))
  end
  if share()[PARKED] and redis.call('ZSCORE', base .. K.parked, member) then return end
  redis.call('ZADD', base .. K.turns, int(score), member)
end

-- Turns are used from the first job of an organization on. Waiting jobs added before that are noted in steps.
local function use_turns()
  if share()[ON] then return end
  set_share(ON, '1')
  if redis.call('ZCARD', base .. K.waiting) > 0 then
    set_share(OLD, int(whole(redis.pcall('GET', base .. K.seq), 0)))
    set_share(CURSOR, int(PRIORITY_SPAN))
  end
end

local entered = {}
take_turns = function(org, place, id)
  place = whole(place, 0)
  if org then
    use_turns()
  elseif share()[ON] then
    redis.call('ZADD', base .. K.unowned, int(place), id)
  else
    return
  end
  local member = priority_of(place) .. (org or '')
  if place >= BEHIND or (entered[member] and not share()[FIFO]) then return end
  entered[member] = true
  enter(org or '', place)
end

-- Notes up to `limit` waiting jobs from a place on, which releases without turns may have added.
-- Returns the place to continue from, nil at the end.
local function note_waiting(from, to, limit)
  local found = redis.call('ZRANGEBYSCORE', base .. K.waiting, int(from), int(to), 'WITHSCORES', 'LIMIT', 0, limit)
  for i = 1, #found, 2 do
    local id, place = found[i], whole(found[i + 1], 0)
    local org = read(base .. K.job .. id, 'o')[1]
    redis.call('ZADD', line_of(org or ''), 'NX', int(place), id)
    local member = priority_of(place) .. (org or '')
    if place < BEHIND and not entered[member] then
      entered[member] = true
      enter(org or '', place)
    end
  end
  if #found < 2 * limit then return nil end
  return whole(found[#found], 0) + 1
end

-- A step of noting the jobs that were added before turns were in use.
local function note_old(limit)
  if not share()[OLD] then return end
  local from, numbered = whole(share()[CURSOR], BEHIND), whole(share()[OLD], 0)
  while limit > 0 and from < BEHIND do
    local priority = priority_of(from)
    from = note_waiting(from, priority * PRIORITY_SPAN + numbered, limit)
    if from then limit = 0 else from = (priority + 1) * PRIORITY_SPAN end
  end
  if from < BEHIND then
    set_share(CURSOR, int(from))
  else
    unset_share(OLD)
    unset_share(CURSOR)
  end
end

-- Weight, limit (nil: none) and pause of a party.
local function rule_of(party)
  local limit = party ~= '' and whole(share()[TENANT]) or nil
  if party == '' or not share()[OVERRIDES] then return 1, limit, false end
  local weight, own, paused = string.match(read(base .. K.tenants, party)[1] or '', '^(%S+) (%S+) (%d)$')
  if not weight then return 1, limit, false end
  if own ~= '-' then limit = whole(own, limit) end
  return math.max(0.01, math.min(100, tonumber(weight) or 1)), limit, paused == '1'
end

local function is_limited(party, more)
  local _, limit, paused = rule_of(party)
  return paused or (limit and redis.call('ZCARD', org_index('a', party)) + more >= limit)
end

-- Takes a member's turn away until `unpark`, or until `at_ms`.
local function park(member, at_ms)
  redis.call('ZREM', base .. K.turns, member)
  redis.call('ZADD', base .. K.parked, at_ms or FOREVER, member)
  if not share()[PARKED] then set_share(PARKED, '1') end
end

-- Gives a party its turn back if it is under its limit.
local function unpark(party)
  if not share()[PARKED] or is_limited(party, 0) then return end
  for priority = 1, 5 do
    local member = priority .. party
    if redis.call('ZREM', base .. K.parked, member) == 1 then
      local first = redis.call('ZRANGEBYSCORE', line_of(party), int(priority * PRIORITY_SPAN),
        int((priority + 1) * PRIORITY_SPAN - 1), 'WITHSCORES', 'LIMIT', 0, 1)
      if first[1] then
        enter(party, whole(first[2], 0))
        ring()
      end
    end
  end
end

-- Picks the next jobs by turns: loads the first members of `turns`, and writes back what has changed.
local INFINITE = math.huge
-- The members loaded, the highest score up to which they are complete, whether there are several.
local members, horizon, several = {}, 0, false
-- How many jobs of each party and of each member this call has picked: they leave the waiting jobs at its end. The
-- priorities whose virtual time has advanced.
local picked, kept, served = {}, {}, {}

local function load_turns(n, found)
  local loaded = #found / 2
  members, several = {}, loaded > 1
  horizon = loaded > n and tonumber(found[#found]) or INFINITE
  for i = 1, #found, 2 do
    local priority = tonumber(string.sub(found[i], 1, 1)) or 5
    members[#members + 1] = {
      member = found[i], party = string.sub(found[i], 2), priority = priority, score = tonumber(found[i + 1]),
      ids = {}, at = 1, step = several and math.max(2, math.ceil(n / loaded) + 1) or n + 1, more = true,
    }
  end
end

-- The first job of a member that this call has not looked at, and its place in a FIFO.
local function head(one)
  local fifo = share()[FIFO]
  if one.at > #one.ids then
    if not one.more then return nil end
    local from, step = one.priority * PRIORITY_SPAN, fifo and 2 or 1
    if fifo then
      one.ids = redis.call('ZRANGEBYSCORE', line_of(one.party), int(from), int(from + PRIORITY_SPAN - 1),
        'WITHSCORES', 'LIMIT', kept[one.member] or 0, one.step)
    else
      one.ids = redis.call('ZRANGEBYSCORE', line_of(one.party), int(from), int(from + PRIORITY_SPAN - 1),
        'LIMIT', kept[one.member] or 0, one.step)
    end
    one.at, one.more = 1, #one.ids == one.step * step
    if #one.ids == 0 then return nil end
  end
  return one.ids[one.at], fifo and tonumber(one.ids[one.at + 1])
end

local function write_turns()
  local changed, gone = {}, {}
  for _, one in ipairs(members) do
    -- One that this call gave a job meanwhile stays.
    if one.at > #one.ids and not one.more and not entered[one.member] then
      gone[#gone + 1] = one.member
      if (several or share()[PARKED]) and one.score > score_at(one.priority, time_of(one.priority)) and not share()[FIFO] then
        redis.call('ZADD', base .. K.rested, int(one.score), one.member)
      end
    elseif one.changed and not one.parked then
      changed[#changed + 1] = int(one.score)
      changed[#changed + 1] = one.member
    end
  end
  if #gone > 0 then redis.call('ZREM', base .. K.turns, unpack(gone)) end
  if #changed > 0 then redis.call('ZADD', base .. K.turns, unpack(changed)) end
  members = {}
end

-- Of two with the same time, the one with fewer jobs that run or have just ended: one that was alone has paid
-- nothing for its own.
local function running_of(one)
  if not one.running then
    one.running = one.party == '' and 0 or redis.call('ZCARD', org_index('a', one.party))
  end
  return one.running + (picked[one.party] or 0) + (just_ended[one.party] or 0)
end

local function comes_before(one, best)
  return not share()[FIFO] and running_of(one) < running_of(best)
end

-- The next job and its member; nil when there is none. Looks at a limited number of members.
local function pick(n)
  for _ = 1, 64 + n do
    local best, least = nil, INFINITE
    for _, one in ipairs(members) do
      local score = one.score
      if score <= least and not one.out and (score < least or comes_before(one, best)) then
        best, least = one, score
      end
    end
    if not best or best.score > horizon then
      if horizon == INFINITE then return nil end
      write_turns()
      load_turns(n, redis.call('ZRANGE', base .. K.turns, 0, n, 'WITHSCORES'))
      if #members == 0 then return nil end
    else
      local id, place = head(best)
      if not id then
        best.out = true
      elseif place and place ~= best.score then
        best.score, best.changed = place, true
      elseif is_limited(best.party, picked[best.party] or 0) then
        best.out, best.parked = true, true
        park(best.member, best.score)
      else
        return id, best
      end
    end
  end
  return nil
end

-- The picked job has left the waiting jobs.
local function skip(one)
  one.at = one.at + (share()[FIFO] and 2 or 1)
end

-- The picked job is taken; it leaves the waiting jobs at the end of the call. Returns what it was charged, for `ev`.
local function take(one, task)
  skip(one)
  kept[one.member] = (kept[one.member] or 0) + 1
  picked[one.party] = (picked[one.party] or 0) + 1
  -- One party alone is charged nothing, but those at a limit still count.
  if not (several or share()[PARKED]) or share()[FIFO] then return nil end
  local priority, us = one.priority, estimate(task)
  local start = one.score - priority * PRIORITY_SPAN
  if start > time_of(priority) then times[priority], served[priority] = start, true end
  one.score = score_at(priority, start + math.max(1, us / rule_of(one.party)))
  one.changed = true
  return priority .. ' ' .. int(us) .. ' ' .. int(start)
end

local function write_times()
  for priority in pairs(served) do
    redis.call('HSET', base .. K.share, 'v' .. priority, int(times[priority]))
  end
end

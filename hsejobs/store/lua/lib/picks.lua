-- Picks the next jobs by turns: loads the first members of `turns`, and writes back what has changed.
local INFINITE = math.huge
-- The members loaded, the highest score up to which they are complete, whether there are several.
local members, horizon, several = {}, 0, false
-- Those that may still be picked, as a binary heap by score.
local heap, size = {}, 0
-- How many jobs a member gives in a row: several where a worker claims many, which it does only while all of them
-- together take about 2 ms.
local PARTIES_AT_ONCE = 8
local in_a_row = 1
-- How many jobs of each party and of each member this call has picked: they leave the waiting jobs at its end. The
-- priorities whose virtual time has advanced.
local picked, kept, served = {}, {}, {}

-- Moves a member whose score has grown to its place in the heap.
local function sift(at)
  local one = heap[at]
  local score = one.score
  while true do
    local child = 2 * at
    if child > size then break end
    if child < size and heap[child + 1].score < heap[child].score then child = child + 1 end
    if heap[child].score >= score then break end
    heap[at] = heap[child]
    at = child
  end
  heap[at] = one
end

-- The first member can give no more jobs.
local function drop_first()
  heap[1], heap[size] = heap[size], nil
  size = size - 1
  if size > 0 then sift(1) end
end

local function load_turns(n, found)
  local loaded = #found / 2
  members, heap, size, several = {}, {}, loaded, loaded > 1
  in_a_row = math.max(1, math.floor(n / PARTIES_AT_ONCE))
  horizon = loaded > n and tonumber(found[#found]) or INFINITE
  for i = 1, #found, 2 do
    local priority = tonumber(string.sub(found[i], 1, 1)) or 5
    local one = {
      member = found[i], party = string.sub(found[i], 2), priority = priority, score = tonumber(found[i + 1]),
      ids = {}, at = 1, step = several and math.max(in_a_row, math.ceil(n / loaded)) + 1 or n + 1, more = true, row = 0,
    }
    members[#members + 1], heap[#members + 1] = one, one
  end
  -- Of those with the same time, one that has not just run is first: one that was alone has paid nothing.
  for i = 2, size do
    if heap[i].score > heap[1].score or not just_ended[heap[1].party] then break end
    if not just_ended[heap[i].party] then heap[1], heap[i] = heap[i], heap[1] end
  end
end

-- The first job of a member that this call has not looked at, and its place in a FIFO.
local function head(one)
  local fifo = share()[FIFO]
  if one.at > #one.ids then
    if not one.more then return nil end
    local lowest, step = one.priority * PRIORITY_SPAN, fifo and 2 or 1
    local from, to = int(lowest), int(lowest + PRIORITY_SPAN - 1)
    if fifo then
      one.ids = redis.call('ZRANGEBYSCORE', line_of(one.party), from, to, 'WITHSCORES', 'LIMIT', kept[one.member] or 0, one.step)
    else
      one.ids = redis.call('ZRANGEBYSCORE', line_of(one.party), from, to, 'LIMIT', kept[one.member] or 0, one.step)
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
  members, heap, size = {}, {}, 0
end

-- The next job and its member; nil when there is none. Looks at a limited number of members.
local function pick(n)
  local limited = share()[TENANT] or share()[OVERRIDES]
  for _ = 1, 64 + n do
    local best = heap[1]
    if not best or (best.score > horizon and best.row == 0) then
      if horizon == INFINITE then return nil end
      write_turns()
      load_turns(n, redis.call('ZRANGE', base .. K.turns, 0, n, 'WITHSCORES'))
      if #members == 0 then return nil end
    else
      local id, place = head(best)
      if not id then
        drop_first()
      elseif place and place ~= best.score then
        best.score, best.changed = place, true
        sift(1)
      elseif limited and is_limited(best.party, picked[best.party] or 0) then
        best.parked = true
        park(best.member, best.score)
        drop_first()
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

local CHARGE = LONG .. ' ' .. LONG .. ' ' .. LONG

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
  one.changed, one.row = true, one.row + 1
  if one.row == in_a_row or (one.at > #one.ids and not one.more) then
    one.row = 0
    sift(1)
  end
  return format(CHARGE, priority, us, start)
end

local function write_times()
  for priority in pairs(served) do
    redis.call('HSET', base .. K.share, 'v' .. int(priority), int(times[priority]))
  end
end

-- How a queue is shared: rules, written by consumers, and the state of turns and limits, which scripts keep.
-- Waiting jobs at the limit of their key, and those of held tasks, have scores above BEHIND.
local BEHIND = 6 * PRIORITY_SPAN
local LATEST_TIME = PRIORITY_SPAN - 1

-- The fields of `share` that most scripts need: rules (plain FIFO, limit, rate, limit of a tenant, overrides exist)
-- and state (turns are in use; up to which number jobs were added before that; members are parked; tasks are held).
local FIFO, LIMIT, RATE, TENANT, OVERRIDES, ON, OLD, PARKED, TASKS = 1, 2, 3, 4, 5, 6, 7, 8, 9
local SHARE = { 'f', 'l', 'r', 't', 'x', 'on', 's', 'p', 'h' }
local shared
-- The virtual times of the last one served, by priority.
local times = {}

-- `priority`: the one whose virtual time is read with it, if this is the first call.
local function share(priority)
  if not shared then
    if priority then SHARE[TASKS + 1] = 'v' .. int(priority) end
    shared = read(base .. K.share, unpack(SHARE))
    if priority then times[priority] = within(shared[TASKS + 1], 0, LATEST_TIME, 0) end
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

-- The virtual time of the last one served with a priority.
local function time_of(priority)
  if not times[priority] then
    times[priority] = within(redis.call('HGET', base .. K.share, 'v' .. int(priority)), 0, LATEST_TIME, 0)
  end
  return times[priority]
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

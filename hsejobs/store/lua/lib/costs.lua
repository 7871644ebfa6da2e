-- What running jobs cost the parties: an estimate when they are claimed, corrected when they end. The estimate
-- of a task, in us, is a moving average, `e:<task>` of `share`. A claimed job's field `ev` has what it was
-- charged: priority, estimate, virtual time at the start.
local FIRST_ESTIMATE = 10000
local estimates, learned = {}, {}

local function estimate(task)
  local us = estimates[task]
  if not us then
    us = within(redis.call('HGET', base .. K.share, 'e:' .. task), 1, LONGEST_RUN, FIRST_ESTIMATE)
    estimates[task] = us
  end
  return us
end

-- Corrections of this call by member: the difference, and the virtual time at which the last job ended.
local owed = {}
-- The organizations that may be under their limits again, once their corrections are written.
local under = {}

local function correct(party, charged, task, us)
  local priority, expected, start = string.match(charged, '^([1-5]) (%d+) (%d+)$')
  if not priority then return end
  us = math.max(1, us)
  local weight = rule_of(party)
  local entry = owed[priority .. party]
  if not entry then
    entry = { 0, 0, tonumber(priority) }
    owed[priority .. party] = entry
  end
  entry[1] = entry[1] + (us - tonumber(expected)) / weight
  entry[2] = math.max(entry[2], tonumber(start) + us / weight)
  if task then
    local before = estimate(task)
    estimates[task] = math.max(1, math.floor(before + (us - before) / 8 + 0.5))
    learned[task] = true
  end
end

-- Writes the corrections, then gives turns back; called before the next claim.
local function settle_costs()
  for member, entry in pairs(owed) do
    local priority = entry[3]
    local lowest = priority * PRIORITY_SPAN
    -- What is taken back was charged before, so the score stays within its priority.
    if not share()[FIFO] and not redis.call('ZADD', base .. K.turns, 'XX', 'INCR', int(entry[1]), member) then
      local rested = whole(redis.call('ZSCORE', base .. K.rested, member))
      local time = rested and rested - lowest + entry[1] or entry[2]
      if time > time_of(priority) then
        redis.call('ZADD', base .. K.rested, int(score_at(priority, time)), member)
      elseif rested then
        redis.call('ZREM', base .. K.rested, member)
      end
    end
    owed[member] = nil
  end
  for task in pairs(learned) do
    redis.call('HSET', base .. K.share, 'e:' .. task, int(estimates[task]))
    learned[task] = nil
  end
  for org in pairs(under) do
    unpark(org)
    under[org] = nil
  end
end

-- A job that has left `active`: its tenant may be under its limit again. `us`: how long it ran.
local function leave(id, org, task, charged, us)
  if charged then
    redis.call('HDEL', base .. K.job .. id, 'ev')
    correct(org or '', charged, us > 0 and task or nil, us)
  end
  if org then under[org] = true end
  if share()[LIMIT] and redis.call('ZCARD', base .. K.waiting) > 0 then ring() end
end

local function left_active(id, org, us)
  local job = read(base .. K.job .. id, 'n', 'ev', 'ky')
  if job[3] then key_left(id, job[1] or '', job[3]) end
  leave(id, org, job[1], job[2], us or 0)
  settle_costs()
end

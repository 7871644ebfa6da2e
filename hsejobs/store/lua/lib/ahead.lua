-- How many jobs start before a waiting one, by the rules of lib/claim: a better priority first, then turns. An
-- estimate: jobs run for as long as is expected of their tasks, and none comes, ages or ends early.
-- The most parties that are read; the most jobs whose tasks are: of the job's own party, of all others, of one other.
local PARTIES_READ, OWN_READ, OTHERS_READ, OTHER_READ = 400, 200, 1200, 200

local function cost_of(id)
  return estimate(id and read(base .. K.job .. id, 'n')[1] or '')
end

-- What a job adds to its party's virtual time.
local function charge(us, weight)
  return math.floor(math.max(1, us / weight) + 0.5)
end

-- The virtual time that the first `count` jobs of a line from a place on take; of many, some stand for all.
local function time_of_jobs(line, from, count, weight)
  local looked, sum = math.min(count, OWN_READ), 0
  for i = 1, looked do
    local at = from + math.floor((i - 0.5) * count / looked)
    sum = sum + charge(cost_of(redis.call('ZRANGE', line, at, at)[1]), weight)
  end
  return looked > 0 and sum * count / looked or 0
end

-- How many of the first `count` jobs of a line start within `left`, and the mean cost of each in us. Those that start
-- within a sixteenth of a job of it do if `first`: costs differ by more than that.
local function jobs_within(line, from, count, weight, left, first, most)
  local jobs, time, us = 0, 0, 0
  while jobs < count do
    local ids = redis.call('ZRANGE', line, from + jobs, from + math.min(count, jobs + 16, most) - 1)
    if #ids == 0 then break end
    for _, id in ipairs(ids) do
      local cost = cost_of(id)
      local near = charge(cost, weight) / 16
      if time > left + (first and near or -near) then return jobs, jobs > 0 and us / jobs or cost end
      jobs, us, time = jobs + 1, us + cost, time + charge(cost, weight)
    end
  end
  if jobs == 0 or jobs == count then return jobs, us / math.max(1, jobs) end
  return math.max(jobs, math.min(count, math.floor(left / time * jobs) + 1)), us / jobs
end

-- The members of `turns` in a range, or some of them, and for how many each stands.
local function in_turns(from, to)
  local turns = base .. K.turns
  local total = redis.call('ZCOUNT', turns, from, to)
  if total <= PARTIES_READ then return redis.call('ZRANGEBYSCORE', turns, from, to, 'WITHSCORES'), 1 end
  local found, before = {}, redis.call('ZCOUNT', turns, '-inf', '(' .. from)
  for i = 1, PARTIES_READ do
    local at = before + math.floor((i - 0.5) * total / PARTIES_READ)
    local one = redis.call('ZRANGE', turns, at, at, 'WITHSCORES')
    found[#found + 1], found[#found + 2] = one[1], one[2]
  end
  return found, total / PARTIES_READ
end

-- The members at their limit or paused, with the time at which each would come back now.
local function add_parked(found)
  for _, name in ipairs(redis.call('ZRANGE', base .. K.parked, 0, PARTIES_READ - 1)) do
    local at = tonumber(string.sub(name, 1, 1)) or 5
    local now = score_at(at, time_of(at))
    found[#found + 1], found[#found + 2] = name, math.max(now, whole(redis.call('ZSCORE', base .. K.rested, name), 0))
  end
end

-- How many jobs of a member start before a job with this score and member, the mean cost of each, and how many
-- the member has.
local function ahead_of(name, time, score, member, sample)
  local at, line = tonumber(string.sub(name, 1, 1)) or 5, line_of(string.sub(name, 2))
  local lowest, priority = at * PRIORITY_SPAN, tonumber(string.sub(member, 1, 1))
  if name == member or at > priority then return 0, 0, 0 end
  local from = redis.call('ZCOUNT', line, '-inf', '(' .. int(lowest))
  local to = share()[FIFO] and score or lowest + PRIORITY_SPAN
  local jobs = redis.call('ZCOUNT', line, int(lowest), '(' .. int(to))
  local left = at == priority and not share()[FIFO] and score - time or PRIORITY_SPAN
  if jobs == 0 then return 0, 0, 0 end
  if left == PRIORITY_SPAN then return jobs, cost_of(redis.call('ZRANGE', line, from, from)[1]), jobs end
  local ahead, us = jobs_within(line, from, jobs, rule_of(string.sub(name, 2)), left, name < member, sample)
  return ahead, us, jobs
end

-- Returns how many jobs of its own party are ahead, how many of better priorities (0 if these are among the parties),
-- a flat list as `why` returns it, and, if turns and limits both decide, the mean cost of its own party's jobs in us.
local function jobs_ahead(id, party, score)
  local limited = share()[TENANT] or share()[OVERRIDES]
  if not share()[ON] or (share()[FIFO] and not limited) then
    return 0, redis.call('ZRANK', base .. K.waiting, id) or 0, {}
  end
  local priority = priority_of(score)
  local lowest, line, member = priority * PRIORITY_SPAN, line_of(party), priority .. party
  local own = redis.call('ZCOUNT', line, int(lowest), '(' .. int(score))
  local better = limited and 0 or redis.call('ZCOUNT', base .. K.waiting, '-inf', '(' .. int(lowest))
  local near, mean = 0, nil
  if not share()[FIFO] then
    near = charge(cost_of(id), rule_of(party)) / 16
    local known = redis.call('ZSCORE', base .. K.turns, member) or redis.call('ZSCORE', base .. K.rested, member)
    local before = redis.call('ZCOUNT', line, '-inf', '(' .. int(lowest))
    local time, weight = time_of_jobs(line, before, own, rule_of(party)), rule_of(party)
    score = math.max(whole(known, 0), score_at(priority, time_of(priority))) + time
    if limited then mean = own > 0 and time / own * weight or cost_of(id) end
  end
  local found, times_as_many = in_turns(limited and '-inf' or int(lowest), int(score + near))
  local in_turn, out = #found, {}
  if limited then add_parked(found) end
  local sample = math.max(1, math.min(OTHER_READ, math.floor(2 * OTHERS_READ / math.max(1, #found))))
  for i = 1, #found, 2 do
    local jobs, us, all = ahead_of(found[i], tonumber(found[i + 1]), score, member, sample)
    if jobs > 0 then
      local other = string.sub(found[i], 2)
      local weight, limit, paused = rule_of(other)
      local times = i <= in_turn and times_as_many or 1
      for _, value in ipairs({ int(jobs * times), int(us), limit and int(limit) or '',
        redis.call('ZCARD', org_index('a', other)), paused and 1 or 0, redis.call('ZCARD', line_of(other)),
        int(weight * 1000), tonumber(string.sub(found[i], 1, 1)) < priority and 1 or 0, int(all), int(times * 1000) }) do
        out[#out + 1] = value
      end
    end
  end
  return own, better, out, mean
end

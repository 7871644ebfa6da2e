-- Limits by key. A job's field `ky` is its key; the rule of its task is in `share`: "limit n ms", '-' for what
-- is not set, or ">task" for a former name of the task. For each task and key, `ka:` has the jobs that run, scored
-- by when each was last found running, in ms; `ks:` the times of the last n starts, in us; `kw:` the line of the
-- parked jobs. A parked job is over a limit: it stays in `waiting`, behind all others, and `sc` keeps its place.
-- While a key has parked jobs, `turns:keys` has `<task>:<key>`, scored by when it is to be looked at again.
-- Parties take turns in a line, too, by priority; there each job costs the same: KEY_COST / weight. A job's score
-- is its priority and its virtual time, in a plain FIFO its place. `kt:` has the time of the last job of each member
-- and how many it has in the line, and by priority, `v<priority>`, the time of the last one that left it for its place.
local HOLDERS_CHECKED, MOST_MOVED, MOST_READ, MOST_PASSES, KEY_COST = 20, 100, 200, 2, 1000

-- Read once in a call: the rule of a task. `task` is its full name.
local key_rules = {}
local function key_rule(task)
  local rule = key_rules[task]
  if rule then return rule end
  local text = read(base .. K.share, 'k:' .. task)[1]
  local full = string.match(text or '', '^>(.+)$')
  if full then text = read(base .. K.share, 'k:' .. full)[1] end
  local limit, starts, ms = string.match(text or '', '^(%S+) (%S+) (%S+)$')
  rule = { task = full or task, limit = whole(limit), starts = whole(starts), ms = whole(ms) }
  if not rule.ms or (rule.starts or 0) < 1 then rule.starts = nil end
  key_rules[task] = rule
  return rule
end

-- How many jobs of a key run. At the limit, the holders are checked in turn: a job may have ended without
-- `key_left`, in a release that does not know keys.
local function key_running(name, limit)
  local holders = base .. K.keyactive .. name
  local running = redis.call('ZCARD', holders)
  if running < limit then return running end
  local found = redis.call('ZRANGEBYSCORE', holders, '-inf', int(now_ms - KEY_CHECK_MS), 'LIMIT', 0, HOLDERS_CHECKED)
  if #found > 0 then begin() end
  for _, id in ipairs(found) do
    if read(base .. K.job .. id, 'st')[1] == 'a' then
      redis.call('ZADD', holders, NOW, id)
    else
      redis.call('ZREM', holders, id)
      running = running - 1
    end
  end
  return running
end

-- When one more job may start after `more` that start now, in ms; nil: at once.
local function key_opens(name, rule, more)
  if not rule.starts then return nil end
  if more >= rule.starts then return now_ms + rule.ms end
  local window = rule.ms * 1000
  local at = more - rule.starts
  local first = whole(redis.call('LRANGE', base .. K.keystarts .. name, at, at)[1])
  local ms_left = first and first + window - now_us or 0
  -- A time far ahead is from a clock that has been set back since.
  if ms_left <= 0 or ms_left > 2 * window then return nil end
  return now_ms + math.ceil(ms_left / 1000)
end

-- Notes when to look at a key with parked jobs again, and tells consumers that sleep longer.
local function key_again(name, at_ms)
  local parked = base .. K.keyparked
  redis.call('ZADD', parked, int(at_ms), name)
  if redis.call('ZRANGE', parked, 0, 0)[1] == name then
    redis.pcall('PUBLISH', base .. K.timer, int(at_ms))
  end
end

-- Whether a job of the key may start now. By key: when its rate opens, nil if that is not what closes it.
local key_closed = {}
local function key_room(task, key)
  local rule = key_rule(task)
  local name = rule.task .. ':' .. key
  local full = rule.limit and key_running(name, rule.limit) >= rule.limit
  key_closed[name] = not full and key_opens(name, rule, 0) or nil
  return not full and not key_closed[name]
end

-- Whether jobs of the task are to begin as soon as they are claimed, because they have a rate.
local function key_paces(task)
  return key_rule(task).starts ~= nil
end

-- Counts a job that starts.
local function key_take(task, key, id)
  local rule = key_rule(task)
  local name = rule.task .. ':' .. key
  if rule.limit or rule.starts then begin() end
  if rule.limit then redis.call('ZADD', base .. K.keyactive .. name, NOW, id) end
  if rule.starts then
    local starts = base .. K.keystarts .. name
    redis.call('RPUSH', starts, int(now_us))
    redis.call('LTRIM', starts, -rule.starts, -1)
    redis.call('PEXPIRE', starts, int(2 * rule.ms))
  end
end

-- Adds a job to a line. One that was in it before, and did not start, returns to where it was.
local function join_line(name, id, org, place)
  local line, times, priority = base .. K.keywaits .. name, base .. K.keytimes .. name, priority_of(place)
  local member, weight = priority .. (org or ''), rule_of(org or '')
  if share()[FIFO] then
    redis.call('ZADD', line, 'NX', place, id)
    return
  end
  local known = read(times, 'v' .. priority, member)
  local now, last, jobs = within(known[1], 0, LATEST_TIME, 0), string.match(known[2] or '', '^(%S+) (%d+)$')
  last, jobs = tonumber(last) or 0, whole(jobs, 0)
  local next = math.max(now, last) + KEY_COST / weight
  local own, at = string.match(read(base .. K.job .. id, 'kt')[1] or '', '^(%d+) (%d+)$')
  local returns = own and at == place
  local time = returns and math.min(tonumber(own), now + KEY_COST / weight) or next
  if redis.call('ZADD', line, 'NX', int(score_at(priority, time)), id) == 1 then
    redis.call('HSET', times, member, format('%.3f %d', returns and math.max(last, time) or next, jobs + 1))
  end
end

-- Takes a job out of a line. A party without jobs in it is forgotten.
local function leave_line(name, id, org, score)
  local line, times = base .. K.keywaits .. name, base .. K.keytimes .. name
  if redis.call('ZREM', line, id) == 0 then return end
  local member = priority_of(score) .. (org or '')
  local last, jobs = string.match(read(times, member)[1] or '', '^(%S+) (%d+)$')
  if redis.call('EXISTS', line) == 0 then
    redis.call('UNLINK', times)
  elseif whole(jobs, 0) > 1 then
    redis.call('HSET', times, member, last .. ' ' .. int(jobs - 1))
  elseif last then
    redis.call('HDEL', times, member)
  end
end

-- Parks a waiting job whose key has no room. `place` is the one it gets back.
local keys_noted = {}
local function park_job(id, task, key, org, place)
  local name = key_rule(task).task .. ':' .. key
  begin()
  place = place_of(place)
  redis.call('HSET', base .. K.job .. id, 'sc', place)
  put_in('w', org, int(BEHIND + place % PRIORITY_SPAN), id)
  join_line(name, id, org, place)
  if not keys_noted[name] then
    keys_noted[name] = true
    key_again(name, key_closed[name] or now_ms + KEY_AGAIN_MS)
  end
end

-- Gives the job of an entry its place back. Returns whether there is one: a job that was removed, cancelled or
-- claimed meanwhile has left an entry. `starts`: it may start now; if others are faster, it keeps its time.
local function give_back(name, id, score, job, starts)
  leave_line(name, id, job[2], score)
  if job[1] ~= 'w' or whole(redis.call('ZSCORE', base .. K.waiting, id), 0) < BEHIND then return false end
  local priority = priority_of(score)
  local place, time = place_of(job[3], job[4]), int(score - priority * PRIORITY_SPAN)
  if starts and not share()[FIFO] then
    redis.call('HSET', base .. K.job .. id, 'kt', time .. ' ' .. place)
    local times = base .. K.keytimes .. name
    if redis.call('EXISTS', base .. K.keywaits .. name) == 1 and tonumber(time) > whole(read(times, 'v' .. priority)[1], 0) then
      redis.call('HSET', times, 'v' .. priority, time)
    end
  elseif job[5] then
    redis.call('HDEL', base .. K.job .. id, 'kt')
  end
  put_in('w', job[2], place, id)
  return true
end

-- By organization: how many jobs of it this call has given their places back, to start now.
local to_start = {}
local function cannot_start(org)
  return org and is_limited(org, to_start[org] or 0)
end

-- Jobs whose organization is paused or at its limit hold up nobody: the first ones get their places back, and are
-- parked again when it is their organization's turn.
local function pass_limited(name)
  local first = redis.call('ZRANGE', base .. K.keywaits .. name, 0, MOST_READ - 1, 'WITHSCORES')
  for i = 1, #first, 2 do
    local job = read(base .. K.job .. first[i], 'st', 'o', 'sc', 'p', 'kt')
    if cannot_start(job[2]) then give_back(name, first[i], tonumber(first[i + 1]), job, false) end
  end
end

-- Gives the first parked jobs of a key their places back: as many as may start now, at most `most`.
local function key_wake(task, key, most)
  local rule, moved, passes = key_rule(task), 0, 0
  local name = rule.task .. ':' .. key
  local waits, room, again = base .. K.keywaits .. name, most or MOST_MOVED, nil
  if rule.limit then room = math.min(room, rule.limit - key_running(name, rule.limit)) end
  for read_so_far = 0, MOST_READ do
    local first = redis.call('ZRANGE', waits, 0, 0, 'WITHSCORES')
    local id = first[1]
    if not id then break end
    again = key_opens(name, rule, moved) or (read_so_far == MOST_READ and now_ms) or nil
    if again or moved >= room then
      again = again or now_ms + KEY_AGAIN_MS
      break
    end
    local job = read(base .. K.job .. id, 'st', 'o', 'sc', 'p', 'kt')
    local org = job[2]
    if not cannot_start(org) then
      if give_back(name, id, tonumber(first[2]), job, true) then
        moved = moved + 1
        if org then to_start[org] = (to_start[org] or 0) + 1 end
      end
    elseif passes < MOST_PASSES then
      passes = passes + 1
      pass_limited(name)
    else
      again = now_ms
      break
    end
  end
  if again then key_again(name, again) else redis.call('ZREM', base .. K.keyparked, name) end
  if moved > 0 then ring() end
end

-- A job that no longer runs: its slot is the next parked job's.
local function key_left(id, task, key)
  local name = key_rule(task).task .. ':' .. key
  if redis.call('ZREM', base .. K.keyactive .. name, id) == 1 then key_wake(task, key, 1) end
end

-- Looks at the keys with parked jobs whose time has come, at most `limit`. Returns the time of the next one in ms,
-- nil for none.
local function wake_keys(limit)
  local parked = base .. K.keyparked
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', parked, '-inf', NOW, 'LIMIT', 0, limit)) do
    begin()
    local task, key = string.match(name, '^([^:]+):(.*)$')
    if task then key_wake(task, key) else redis.call('ZREM', parked, name) end
  end
  return whole(redis.call('ZRANGE', parked, 0, 0, 'WITHSCORES')[2])
end

-- A job that goes back from its worker to its place is the first of its key.
local function key_back(id, key, place)
  if key then redis.call('HSET', base .. K.job .. id, 'kt', '0 ' .. place) end
end

-- A job that leaves and does not come back: whatever its key has of it.
local function key_gone(id, task, key)
  local name = key_rule(task).task .. ':' .. key
  local score = redis.call('ZSCORE', base .. K.keywaits .. name, id)
  if score then leave_line(name, id, read(base .. K.job .. id, 'o')[1], tonumber(score)) end
  key_left(id, task, key)
end

-- Whether a job behind all others is one that this library has parked.
local function is_parked(id, task, key)
  return redis.call('ZSCORE', base .. K.keywaits .. key_rule(task).task .. ':' .. key, id)
end

-- Limits by key. A job's field `ky` is its key; the rule of its task is in `share`: "limit n ms", '-' for what
-- is not set, or ">task" for a former name of the task. For each task and key, `ka:` has the jobs that run, scored
-- by when each was last found running, in ms; `ks:` the times of the last n starts, in us; `kw:` the line of the
-- parked jobs. A parked job is over a limit: it stays in `waiting`, behind all others, and `sc` keeps its place.
-- While a key has parked jobs, `turns:keys` has `<task>:<key>`, scored by when it is to be looked at again.
-- Parties take turns in a line, too, by priority; there each job costs the same: KEY_COST / weight. A job's score
-- is its priority and its virtual time, in a plain FIFO its place. `kt:` has of each member the time of its last job,
-- how many it has in the line, and the earliest time of the next that starts; and by priority, `v<priority>`, the
-- time of the last one that left the line to start. A job's field `kt` has the time to which it returns if others take
-- its slot, the place for which that holds, and '-' unless it has moved back to that time.
local HOLDERS_CHECKED, MOST_MOVED, MOST_READ, KEY_COST = 20, 100, 200, 1000

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

-- How many jobs of a key run, and those holders that do and that do not, of which it was checked. At the limit, they
-- are checked in turn: a job may have ended without `key_left`, in a release that does not know keys.
local function key_holders(name, limit)
  local holders, live, gone = base .. K.keyactive .. name, {}, {}
  local running = redis.call('ZCARD', holders)
  if running < limit then return running, live, gone end
  local found = redis.call('ZRANGEBYSCORE', holders, '-inf', int(now_ms - KEY_CHECK_MS), 'LIMIT', 0, HOLDERS_CHECKED)
  for _, id in ipairs(found) do
    local list = read(base .. K.job .. id, 'st')[1] == 'a' and live or gone
    list[#list + 1] = id
  end
  return running - #gone, live, gone
end

-- The same number; writes what it has checked.
local function key_running(name, limit)
  local running, live, gone = key_holders(name, limit)
  if #live + #gone > 0 then begin() end
  for _, id in ipairs(live) do redis.call('ZADD', base .. K.keyactive .. name, NOW, id) end
  for _, id in ipairs(gone) do redis.call('ZREM', base .. K.keyactive .. name, id) end
  return running
end

-- When one more job may start after `more` that start now, in ms; nil: at once.
local function key_opens(name, rule, more)
  if not rule.starts then return nil end
  if more >= rule.starts then return now_ms + rule.ms end
  local room, opens = rate_room(base .. K.keystarts .. name, rule.starts, rule.ms, more + 1)
  return room <= more and whole(opens) or nil
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
  if rule.starts then rate_count(base .. K.keystarts .. name, rule.starts, rule.ms, 1) end
end

-- What a line knows of a member: the time of its last job, their number, the earliest time of the next; and the time
-- of the line.
local function times_of(name, member, priority)
  local known = read(base .. K.keytimes .. name, 'v' .. priority, member)
  local now, last, jobs, next = within(known[1], 0, LATEST_TIME, 0), string.match(known[2] or '', '^(%S+) (%d+) (%S+)$')
  return tonumber(last) or 0, whole(jobs, 0), tonumber(next) or now, now
end

local function set_times(name, member, last, jobs, next)
  redis.call('HSET', base .. K.keytimes .. name, member, format('%.3f %d %.3f', last, jobs, next))
end

-- Where a job stands in a line that it joins: its score and, unless in a plain FIFO, its time. One that was in it
-- before, and did not start, returns to where it was.
local function place_in_line(name, id, org, place)
  if share()[FIFO] then return place end
  local priority, weight = priority_of(place), rule_of(org or '')
  local last, _, _, now = times_of(name, priority .. (org or ''), priority)
  local own, at = string.match(read(base .. K.job .. id, 'kt')[1] or '', '^(%d+) (%d+)')
  local time = math.max(now, last) + KEY_COST / weight
  if own and at == place then time = math.min(tonumber(own), now + KEY_COST / weight) end
  return int(score_at(priority, time)), time
end

local function join_line(name, id, org, place)
  local score, time = place_in_line(name, id, org, place)
  if redis.call('ZADD', base .. K.keywaits .. name, 'NX', score, id) == 1 and time then
    local priority = priority_of(place)
    local member = priority .. (org or '')
    local last, jobs, next = times_of(name, member, priority)
    set_times(name, member, math.max(last, time), jobs + 1, next)
  end
end

-- Takes a job out of a line. A party without jobs in it is forgotten.
local function leave_line(name, id, org, score)
  local line, priority = base .. K.keywaits .. name, priority_of(score)
  if redis.call('ZREM', line, id) == 0 then return end
  local member = priority .. (org or '')
  local last, jobs, next = times_of(name, member, priority)
  if redis.call('EXISTS', line) == 0 then
    redis.call('UNLINK', base .. K.keytimes .. name)
  elseif jobs > 1 then
    set_times(name, member, last, jobs - 1, next)
  else
    redis.call('HDEL', base .. K.keytimes .. name, member)
  end
end

-- Moves what stands under a former name of a task to its name of today, at most `limit` jobs. Returns whether that
-- is all.
local function adopt(task, key, limit)
  local rule = key_rule(task)
  local old, name = task .. ':' .. key, rule.task .. ':' .. key
  if redis.call('EXISTS', base .. K.keyactive .. old, base .. K.keywaits .. old) == 0 then return true end
  begin()
  for _, id in ipairs(redis.call('ZRANGE', base .. K.keyactive .. old, 0, limit - 1)) do
    redis.call('ZREM', base .. K.keyactive .. old, id)
    redis.call('ZADD', base .. K.keyactive .. name, NOW, id)
  end
  local found = redis.call('ZRANGE', base .. K.keywaits .. old, 0, limit - 1, 'WITHSCORES')
  for i = 1, #found, 2 do
    local id = found[i]
    local job = read(base .. K.job .. id, 'st', 'o', 'sc', 'p')
    leave_line(old, id, job[2], tonumber(found[i + 1]))
    if job[1] == 'w' and whole(redis.call('ZSCORE', base .. K.waiting, id), 0) >= BEHIND then
      join_line(name, id, job[2], whole(place_of(job[3], job[4])))
    end
  end
  key_again(name, now_ms)
  return #found < 2 * limit
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
-- claimed meanwhile has left an entry. If others take its slot, it returns to the same time; one that does not
-- start now, because its organization cannot, moves back by the time that passes.
local function give_back(name, id, score, job, starts)
  local org, priority = job[2], priority_of(score)
  local time, fifo = score - priority * PRIORITY_SPAN, share()[FIFO]
  if not starts and not fifo then
    local member = priority .. org
    local last, jobs, next, now = times_of(name, member, priority)
    if now > next then set_times(name, member, last, jobs, now) end
  end
  leave_line(name, id, org, score)
  if job[1] ~= 'w' or whole(redis.call('ZSCORE', base .. K.waiting, id), 0) < BEHIND then return false end
  local place = place_of(job[3], job[4])
  if not fifo then
    local slot = int(time) .. ' ' .. place
    if job[5] ~= slot then redis.call('HSET', base .. K.job .. id, 'kt', slot .. ' -') end
    if starts and redis.call('EXISTS', base .. K.keywaits .. name) == 1 then
      local field = 'v' .. priority
      if time > whole(read(base .. K.keytimes .. name, field)[1], 0) then
        redis.call('HSET', base .. K.keytimes .. name, field, int(time))
      end
    end
  end
  put_in('w', org, place, id)
  return true
end

-- While an organization was paused or at its limit, others have passed it. It does not save up that time: its jobs
-- move back one by one, in order. Returns whether the first of a line did so.
local function moves_back(name, id, score, job)
  if share()[FIFO] then return false end
  local priority, place = priority_of(score), place_of(job[3], job[4])
  local member, time = priority .. (job[2] or ''), score - priority * PRIORITY_SPAN
  if job[5] == int(time) .. ' ' .. place then return false end
  local last, jobs, next = times_of(name, member, priority)
  if time >= math.floor(next) then return false end
  redis.call('ZADD', base .. K.keywaits .. name, int(score_at(priority, next)), id)
  redis.call('HSET', base .. K.job .. id, 'kt', int(score_at(0, next)) .. ' ' .. place)
  local weight = rule_of(job[2] or '')
  set_times(name, member, last, jobs, next + KEY_COST / weight)
  return true
end

-- By organization: how many jobs of it this call has given their places back, to start now.
local to_start = {}

-- Gives the first parked jobs of a key their places back: as many as may start now, at most `most`.
local function key_wake(task, key, most)
  local rule, moved = key_rule(task), 0
  local name = rule.task .. ':' .. key
  local waits, room, again = base .. K.keywaits .. name, most or MOST_MOVED, nil
  local running = rule.limit and key_running(name, rule.limit)
  if running then room = math.min(room, rule.limit - running) end
  for read_so_far = 0, MOST_READ do
    local first = redis.call('ZRANGE', waits, 0, 0, 'WITHSCORES')
    local id = first[1]
    if not id then break end
    again = key_opens(name, rule, moved) or (read_so_far == MOST_READ and now_ms) or nil
    if again or moved >= room then
      -- The next sweep wakes more than this call may.
      again = again or (most and rule.limit and running + moved < rule.limit and now_ms) or now_ms + KEY_AGAIN_MS
      break
    end
    local job = read(base .. K.job .. id, 'st', 'o', 'sc', 'p', 'kt')
    local org, score = job[2], tonumber(first[2])
    if org and is_limited(org, to_start[org] or 0) then
      -- It holds up no one: it is parked again when it is its organization's turn.
      give_back(name, id, score, job, false)
    elseif not moves_back(name, id, score, job) and give_back(name, id, score, job, true) then
      moved = moved + 1
      if org then to_start[org] = (to_start[org] or 0) + 1 end
    end
  end
  if again then key_again(name, again) else redis.call('ZREM', base .. K.keyparked, name) end
  if moved > 0 then ring() end
end

-- A job that no longer runs: its slot is the next parked job's.
local function key_left(id, task, key)
  local rule = key_rule(task)
  local name = rule.task .. ':' .. key
  if rule.task ~= task then adopt(task, key, MOST_READ) end
  if redis.call('ZREM', base .. K.keyactive .. name, id) == 1 then key_wake(task, key, 1) end
end

-- Looks at the keys with parked jobs whose time has come, at most `limit`. Returns the time of the next one in ms,
-- nil for none.
local function wake_keys(limit)
  local parked = base .. K.keyparked
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', parked, '-inf', NOW, 'LIMIT', 0, limit)) do
    begin()
    local task, key = string.match(name, '^([^:]+):(.*)$')
    if task and key_rule(task).task == task then
      key_wake(task, key)
    elseif not task or adopt(task, key, MOST_READ) then
      redis.call('ZREM', parked, name)
    end
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
  local job = read(base .. K.job .. id, 'o', 'st')
  if score then
    leave_line(name, id, job[1], tonumber(score))
  elseif job[2] == 'w' and redis.call('ZSCORE', base .. K.keyparked, name) then
    -- It may have been given its place back to start now: the next one takes its slot.
    key_wake(task, key, 1)
  end
  key_left(id, task, key)
end

-- Whether a job behind all others is one that this library has parked.
local function is_parked(id, task, key)
  return redis.call('ZSCORE', base .. K.keywaits .. key_rule(task).task .. ':' .. key, id)
end

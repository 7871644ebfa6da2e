-- Held tasks. `tasks` has of each held task "<since in ms> <who>", and '' of one that was let go while jobs of it are
-- still aside; `share` says whether it has an entry. A claim that comes upon a waiting job of such a task puts it
-- aside: it stays in `waiting`, behind all others, and the line `tw:<task>` keeps its place. Those of a task that was
-- let go get their places back in order, some in each call; until all have, a job behind them joins the line.
local SET_BACK = 200

-- Read once in a call: the entries, and which one is that of a name.
local tasks_held, names_held
local function held_tasks()
  if tasks_held then return tasks_held end
  tasks_held, names_held = {}, {}
  local found = redis.call('HGETALL', base .. K.tasks)
  for i = 1, #found, 2 do
    local full = key_rule(found[i]).task
    local one = { task = found[i], line = base .. K.taskwaits .. found[i], held = found[i + 1] ~= '', by = found[i + 1] }
    tasks_held[#tasks_held + 1] = one
    -- A task may also have an entry under a former name, which was let go.
    for _, name in ipairs({ full, string.match(full, '([^.]+)$') }) do
      if one.held or not names_held[name] then names_held[name] = one end
    end
  end
  return tasks_held
end

-- The entry of a job's task, also under a former or short name; nil for none.
local function held_task(name)
  return #held_tasks() > 0 and (names_held[key_rule(name).task] or names_held[name]) or nil
end

-- Puts a waiting job aside if its task is held, or if jobs before it are still aside. Returns whether it did.
local function put_aside(id, name, org)
  local one = held_task(name)
  if not one then return false end
  local place = whole(redis.call('ZSCORE', base .. K.waiting, id), 0)
  if not one.held then
    local first = redis.call('ZRANGE', one.line, 0, 0, 'WITHSCORES')
    if not first[1] or whole(first[2], 0) > place then return false end
  end
  begin()
  local key = base .. K.job .. id
  local job = read(key, 'p', 'lk')
  place = place_of(place, job[1])
  redis.call('HSET', key, 'sc', place)
  put_in('w', org, int(BEHIND + place % PRIORITY_SPAN), id)
  redis.call('ZADD', one.line, place, id)
  -- A lock that was handed to it is the next one's: it tries again when it runs.
  free_locks(id, nil, job[2])
  return true
end

-- Gives the first jobs, at most `limit`, of each task that was let go their places back, and forgets those without any. Returns
-- how many.
local function set_back(limit)
  local moved, limit = 0, limit or SET_BACK
  for _, one in ipairs(held_tasks()) do
    local found = one.held and {} or redis.call('ZRANGE', one.line, 0, limit - 1, 'WITHSCORES')
    if not one.held then begin() end
    for i = 1, #found, 2 do
      local id = found[i]
      local job = read(base .. K.job .. id, 'st', 'o')
      redis.call('ZREM', one.line, id)
      if job[1] == 'w' and whole(redis.call('ZSCORE', base .. K.waiting, id), 0) >= BEHIND then
        put_in('w', job[2], int(whole(found[i + 1], 0)), id)
        moved = moved + 1
      end
    end
    if not one.held and #found < 2 * limit then
      redis.call('HDEL', base .. K.tasks, one.task)
      if redis.call('EXISTS', base .. K.tasks) == 0 then unset_share(TASKS) end
    end
  end
  if moved > 0 then tasks_held = nil end
  return moved
end

-- A waiting job that leaves.
local function leave_aside(id, name)
  local one = share()[TASKS] and held_task(name)
  if one then redis.call('ZREM', one.line, id) end
end

-- Whether a job behind all others is one that was put aside.
local function is_aside(id, name)
  local one = share()[TASKS] and held_task(name)
  return one and redis.call('ZSCORE', one.line, id)
end

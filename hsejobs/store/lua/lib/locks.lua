-- Locks of tasks. `kv:<lock>` names the holder: `id token` of a job, `id *` for a waiting job that it was
-- handed to, any other text if it was taken outside a job. `lw:<lock>` has the waiting jobs by their places.
-- A job's field `lk` lists the locks that it holds, was handed or waits for.

local function locks_of(text)
  local ok, found = pcall(cjson.decode, text or '[]')
  return ok and type(found) == 'table' and found or {}
end

local function waits_for(job, lock)
  for _, one in ipairs(locks_of(job)) do
    if one == lock then return true end
  end
  return false
end

-- Who holds a lock: nil if it is free, also because its holder no longer runs; else the value's first
-- part, its second, and the place of a waiting job that it was handed to, which may still lose it.
local function holder_of(lock)
  local value = redis.call('GET', base .. K.value .. lock)
  if not value then return nil end
  local id, token = string.match(value, '^(%S+) (%S+)$')
  if not id then return value, '', nil end
  local job = read(base .. K.job .. id, 'st', 'tk', 'sc')
  if token ~= '*' then
    if job[1] == 'a' and job[2] == token then return id, token, nil end
  elseif job[1] == 'a' then
    return id, token, nil
  elseif job[1] == 'w' and not is_paused() then
    -- In a paused queue it is not kept for a job that cannot run.
    return id, token, whole(job[3], 0)
  end
  return nil
end

-- The first waiting job tries soon even if no script hands the lock over: it may have expired.
local function watch_first(lock)
  local id = redis.call('ZRANGE', base .. K.waiters .. lock, 0, 0)[1]
  if not id then return end
  local key = base .. K.job .. id
  local job = read(key, 'st', 'o', 'ra')
  local soon = int(now_ms + LOCK_FIRST_MS)
  if job[1] == 'd' and whole(job[3], 0) > now_ms + LOCK_FIRST_MS then
    redis.call('HSET', key, 'ra', soon)
    put_in('d', job[2], soon, id)
    announce_due(id, soon)
  end
end

-- Set to false by a script that removes all jobs, which must not move one behind its back.
local handing = true

-- Frees a lock, for the first of the jobs that wait for it: that one gets its place in `waiting` back.
local function hand_over(lock)
  local name, waiters = base .. K.value .. lock, base .. K.waiters .. lock
  for _ = 1, handing and 100 or 0 do
    local first = redis.call('ZRANGE', waiters, 0, 0, 'WITHSCORES')
    local id = first[1]
    if not id then break end
    redis.call('ZREM', waiters, id)
    local key = base .. K.job .. id
    local job = read(key, 'st', 'o', 'p', 'lk')
    local state, org = job[1], job[2]
    if (state == 'd' or state == 'w') and waits_for(job[4], lock) then
      redis.call('SET', name, id .. ' *', 'PX', LOCK_GIVEN_MS)
      if state == 'd' then
        local place = place_of(first[2], job[3])
        take_from('d', org, id)
        redis.call('HSET', key, 'st', 'w', 'sc', place, 'ws', NOW, 'si', NOW)
        put_in('w', org, place, id)
        event('waiting', id, org)
      end
      watch_first(lock)
      ring()
      return
    end
  end
  redis.call('UNLINK', name)
end

-- Frees all locks of a job that stops running or leaves. `text` is its field `lk`, nil for most jobs.
local function free_locks(id, token, text)
  if not text then return end
  for _, lock in ipairs(locks_of(text)) do
    redis.call('ZREM', base .. K.waiters .. lock, id)
    local value = redis.call('GET', base .. K.value .. lock)
    if value and (value == id .. ' ' .. (token or '') or value == id .. ' *') then
      hand_over(lock)
    else
      watch_first(lock)
    end
  end
  redis.call('HDEL', base .. K.job .. id, 'lk')
end

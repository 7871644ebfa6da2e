-- verify: finds faults of jobs and, with `repair`, moves each to the index of its record's state.
-- A job with a valid lease is never changed.
-- KEYS: 1 the queue's base
-- ARGV: repair, entry; each: id, organization
--   organization: in whose index the id was found, or ''; entry: lib/audit
-- returns: for each id {codes separated by spaces, 1 if repaired or 0}
-- errors: none
-- include: base share turns noting? limits? place rate? keyed? costs? locks? held? family? delete failures? cancel? inspect audit?
local repair, out, wakes, faulty = ARGV[1] == '1', {}, false, false

-- An entry or a value without a record. A key that is not a hash is not deleted: another program wrote it.
local function forget(id, found, org)
  take_from_all(nil, id)
  if found.stray then take_from_all(org, id) end
  if found.unreadable then return true end
  local names = {}
  for i, name in ipairs(BESIDE) do names[i] = base .. name .. id end
  redis.call('UNLINK', unpack(names))
  return true
end

-- The state that a job gets: the record's, else that of its index, else failed.
local function wanted(found)
  local state = found.state
  if not STATE[state] then
    state = 'f'
    if found.standing == 1 then
      for letter, score in pairs(found.places) do state = score and letter or state end
    end
  end
  -- A job without a lease is not held by a worker, so it must wait for one.
  -- A cancelled one fails instead.
  if state == 'a' and not (found.state == 'a' and found.places.a) then return found.job[18] and 'f' or 'w' end
  return state
end

local function score_of(state, found, job)
  local score = found.places[state]
  if score and good_score(state, score) and not (state == 'w' and whole(score, 0) >= BEHIND) then return int(tonumber(score)) end
  if state == 'w' then return place_of(job[16], job[3]) end
  if state == 'd' then return int(sound(job[9], 0, LATEST) and whole(job[9]) or now_ms) end
  if state == 'a' then return NOW end
  return int(sound(job[10], 0, LATEST) and whole(job[10]) * 1000 or now_us)
end

local function put_back(id, found, stray_org)
  local job, org, key = found.job, found.org, found.key
  local state = wanted(found)
  local score = score_of(state, found, job)
  local entry = cjson.encode({ code = 'no_state', failedAt = now_ms,
    error = 'the record had no state; `hsejobs verify --repair` put the job here' })
  take_from_all(org, id)
  if found.stray then take_from_all(stray_org, id) end
  for _, name in ipairs(found.bad) do
    local default = NUMBERS[name] and NUMBERS[name][4]
    if default then redis.call('HSET', key, name, int(default)) else redis.call('HDEL', key, name) end
  end
  redis.call('HSET', key, 'st', state)
  if state == 'w' then
    if found.state ~= 'w' then
      -- The attempt that no worker runs does not count.
      redis.call('HSET', key, 'am', int(within(job[4], 1, MANY, 1) - 1))
      redis.call('HDEL', key, 'tk', 'pg', 'pm')
    end
    redis.call('HSET', key, 'sc', score)
    wakes = true
  elseif state == 'd' then
    redis.call('HSET', key, 'ra', score)
    redis.pcall('PUBLISH', base .. K.timer, score)
  elseif (state == 'c' or state == 'f') and not sound(job[10], 0, LATEST) then
    redis.call('HSET', key, 'ft', int(math.floor(score / 1000)))
  end
  if state == 'f' and found.state == 'a' then
    end_cancelled(id, 'a')
    return true
  end
  if state == 'f' and not STATE[found.state] then redis.call('RPUSH', base .. K.errors .. id, entry) end
  put_in(state, org, score, id)
  event('restored', id, org)
  return true
end

for a = 3, #ARGV, 2 do
  local id, org = ARGV[a], ARGV[a + 1]
  local found, done = inspect(id, org), false
  if repair and #found.faults > 0 and not found.live then
    if found.there then done = put_back(id, found, org) else done = forget(id, found, org) end
  end
  if done then note_act(id, found.org) end
  faulty = faulty or #found.faults > 0
  out[#out + 1] = { table.concat(found.faults, ' '), done and 1 or 0 }
end
if wakes then ring() end
publish()
record_act(ARGV[2], faulty)
return out

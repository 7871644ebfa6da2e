-- Finds the faults of a job: its record against the indexes, of all and per organization.
local LATEST = now_ms + 2 * LONGEST_MS
local MANY = 1000000
-- Each number of a record: where `inspect` reads it, minimum, maximum, replacement if invalid (nil: the field is removed).
local NUMBERS = {
  p = { 3, 1, 5, DEFAULT_PRIORITY }, am = { 4, 0, MANY, 0 }, ax = { 5, 1, MANY, 1 },
  bo = { 6, 0, LONGEST_MS, 0 }, to = { 7, 0, LONGEST_MS, 0 }, ct = { 8, 0, LATEST, now_ms },
  ra = { 9, 0, LATEST }, ft = { 10, 0, LATEST }, pt = { 11, 0, LATEST }, ws = { 12, 0, LATEST },
  pf = { 13, 0, LATEST }, sl = { 14, 0, MANY }, lc = { 15, 0, LARGEST },
  bs = { 19, 0, LATEST }, sc = { 16, PRIORITY_SPAN, 6 * PRIORITY_SPAN },
}

local function sound(value, from, to)
  local number = whole(value)
  return number and number == tonumber(value) and number >= from and number <= to
end

-- Whether a score is valid in the index of a state.
local function good_score(letter, score)
  if letter == 'w' then return sound(score, PRIORITY_SPAN, 7 * PRIORITY_SPAN) end
  if letter == 'c' or letter == 'f' then return sound(score, 0, LATEST * 1000) end
  return sound(score, 0, LATEST)
end

local function in_any(org, id)
  for letter in pairs(STATE) do
    if redis.call('ZSCORE', org_index(letter, org), id) then return true end
  end
  return false
end

-- `found_org`: in whose index the id was found, or ''. Returns what exists, with the codes of its
-- faults in order; `live`: a worker holds it, so it must not be changed.
local function inspect(id, found_org)
  local key = base .. K.job .. id
  local job = read(key, 'st', 'o', 'p', 'am', 'ax', 'bo', 'to', 'ct', 'ra', 'ft', 'pt', 'ws', 'pf', 'sl', 'lc', 'sc', 'pg', 'cl', 'bs', 'n', 'ky')
  local faults, places, standing = {}, {}, 0
  local function fault(code) faults[#faults + 1] = code end
  for letter in pairs(STATE) do
    places[letter] = redis.call('ZSCORE', index(letter), id)
    if places[letter] then standing = standing + 1 end
  end
  local stray = found_org ~= '' and found_org ~= job[2] and in_any(found_org, id)
  local found = { key = key, job = job, state = job[1], org = job[2], places = places, standing = standing,
    stray = stray, faults = faults, there = is_there(key, job, job[1]) }
  if not found.there then
    found.unreadable = #job == 0
    if found.unreadable then fault('unreadable') end
    if standing > 0 or stray then fault('no_record') end
    local beside = {}
    for i, name in ipairs(BESIDE) do beside[i] = base .. name .. id end
    if not found.unreadable and redis.call('EXISTS', unpack(beside)) > 0 then fault('orphan') end
    return found
  end
  local state, org = job[1], job[2]
  found.live = state == 'a' and whole(places.a, 0) > now_ms
  if not STATE[state] then
    fault('no_state')
  elseif not places[state] then
    fault(standing > 0 and 'wrong_index' or 'no_index')
  elseif standing > 1 then
    fault('two_indexes')
  end
  local good = not places[state] or good_score(state, places[state])
  if good and state == 'w' and whole(places.w, 0) >= BEHIND then
    good = (job[21] and is_parked(id, job[20] or '', job[21])) or is_aside(id, job[20] or '')
  end
  if not good then fault('bad_score') end
  found.bad = {}
  for name, rule in pairs(NUMBERS) do
    local value = job[rule[1]]
    local needed = rule[4] or (name == 'ra' and state == 'd') or (name == 'ft' and (state == 'c' or state == 'f'))
    if (value or needed) and not sound(value, rule[2], rule[3]) then found.bad[#found.bad + 1] = name end
  end
  local percent = tonumber(job[17])
  if job[17] and not (percent and percent >= 0 and percent <= 100) then found.bad[#found.bad + 1] = 'pg' end
  if #found.bad > 0 then fault('bad_number') end
  local mixed = stray
  if org then
    for letter in pairs(STATE) do
      local score = redis.call('ZSCORE', org_index(letter, org), id)
      if letter == state then
        if score ~= places[letter] then mixed = true end
      elseif score then
        mixed = true
      end
    end
  end
  if mixed then fault('organization_index') end
  return found
end

-- Adds jobs. Eight values at the start of ARGV hold for all jobs of the call. Six hold for those of one owner, from
-- index `o` on: organization, user, signature, role, key, family. Each job has its id, nonce and payload, from `a` on.
local delay, extras = within(ARGV[3], 0, LONGEST_MS, 0), ARGV[7]
local quota = ARGV[8] ~= '0' and whole(ARGV[8], 0) or 0
local run_at = delay > 0 and int(now_ms + delay)
local letter = run_at and 'd' or 'w'
-- The hash's fields; field 4 is the job's own place, and optional fields are appended.
local fields = {
  'st', letter, run_at and 'ra' or 'sc', run_at or '',
  'n', ARGV[1], 'p', ARGV[2], 'ct', NOW, 'am', '0', 'ax', ARGV[4], 'bo', ARGV[5], 'to', ARGV[6],
}
local shared = #fields
if extras ~= '' then fields[shared + 1], fields[shared + 2], shared = 'x', '1', shared + 2 end
local OWN = { 'o', 'u', 'sg', 'ro', 'ky', 'fa' }
-- The owner of the jobs: the index of its values, the number of their fields, its list of jobs in this state;
-- how many jobs it was given in this call, and the owner whose jobs have their turn.
local owned, owner_fields, org, line, added, in_turn = 0, 0, nil, nil, 0, 0

-- Counts the jobs that were added; called before `publish`.
local function count_added()
  if added > 0 then count('ad', org, added, ARGV[1]) end
  added = 0
end

-- Makes the owner with these values the one of the next jobs.
local function set_owner(o)
  if owned == o then return end
  count_added()
  owned, owner_fields, org, line = o, shared, nil, nil
  for i = 1, 6 do
    local value = ARGV[o + i - 1]
    if value ~= '' then
      fields[owner_fields + 1], fields[owner_fields + 2], owner_fields = OWN[i], value, owner_fields + 2
    end
  end
  if ARGV[o] ~= '' then
    org = ARGV[o]
    line = org_index(letter, org)
  end
end

-- Adds one job. Returns "1<state letter>" if it was created, "0<state letter>" if it existed; a job that this call
-- created before (same nonce) counts as created. "q<number>": not added, because its organization has that many
-- waiting and delayed jobs and `tenant_backlog` (0: no quota) allows no more. `new`: the record's key if there is none.
local function add_job(o, a, new)
  local id, nonce = ARGV[a], ARGV[a + 1]
  local key = new or base .. K.job .. id
  if not new and redis.call('EXISTS', key) == 1 then
    local there = read(key, 'st', 'nx')
    return ((there[2] or '') == nonce and '1' or '0') .. state_of(there[1])
  end
  set_owner(o)
  if quota > 0 and org then
    local backlog = redis.call('ZCARD', org_index('w', org)) + redis.call('ZCARD', org_index('d', org))
    if backlog >= quota then
      count('rf', org)
      return 'q' .. int(backlog)
    end
  end
  local at, score = owner_fields, run_at or new_place(ARGV[2])
  fields[4] = score
  if nonce ~= '' then fields[at + 1], fields[at + 2], at = 'nx', nonce, at + 2 end
  if ARGV[o + 5] ~= '' then join_family(id, ARGV[o + 5]) end
  redis.call('SET', base .. K.payload .. id, ARGV[a + 2])
  if extras ~= '' then redis.call('SET', base .. K.extras .. id, extras) end
  redis.call('HSET', key, unpack(fields, 1, at))
  added = added + 1
  if not run_at and in_turn ~= o then
    take_turns(org, score, id)
    -- Places only grow: the owner's next jobs change no turn, unless each has to be listed.
    if org or not share()[ON] then in_turn = o end
  end
  redis.call('ZADD', index(letter), score, id)
  if line then redis.call('ZADD', line, score, id) end
  if run_at then
    announce_due(id, run_at)
    event('delayed', id, org)
    return '1d'
  end
  event('waiting', id, org)
  return '1w'
end

-- Whether the user may run a command without which jobs are added, too, but not as fast.
local function may_run(name)
  local asked, answer = pcall(may, name, base, base)
  return asked and answer
end

-- How the record of a new job differs from that of the first job of the call, so that it can be a copy of it, which
-- takes Redis a third of the time of a new one. Returns how many entries `differs` has; 0 if one of the two lacks a
-- field of the other.
local differs = { 'sc' }
local function compare(o, nonce)
  local size = 2
  for i = 1, o == 9 and 0 or 6 do
    local first, value = ARGV[8 + i], ARGV[o + i - 1]
    if value ~= first then
      if value == '' or first == '' then return 0 end
      differs[size + 1], differs[size + 2], size = OWN[i], value, size + 2
    end
  end
  if nonce ~= ARGV[16] then
    if nonce == '' then return 0 end
    differs[size + 1], differs[size + 2], size = 'nx', nonce, size + 2
  end
  return size
end

-- Adds new jobs to the waiting list at once; returns false, and has done nothing, if they need more than that.
-- `keys`: their records, of which there is none yet; `owners` and `step`: how far the values of two owners and of two
-- jobs are apart, the first of them at 9 and 15.
-- Jobs are in the lists before they are written: of a call that ended in between, claims would drop what has no
-- record, but no one would find a record that is in no list.
local function add_waiting(keys, owners, step)
  if run_at or extras ~= '' or quota > 0 then return false end
  local with, without
  for at = 1, owners == 0 and 1 or #keys do
    local first = 9 + owners * (at - 1)
    if ARGV[first + 5] ~= '' then return false end
    if ARGV[first] ~= '' then with = true else without = true end
  end
  if without and (with or share()[ON]) then return false end
  local place, all, payloads, lines, o, a = tonumber(new_place(ARGV[2])), {}, {}, {}, 9, 15
  for at = 1, 2 * #keys, 2 do
    local party, score, id = ARGV[o], int(place), ARGV[a]
    payloads[at], payloads[at + 1] = base .. K.payload .. id, ARGV[a + 2]
    local own = lines[party]
    if not own then
      own = owners == 0 and all or {}
      lines[party] = own
      -- Places only grow: its next jobs change no turn.
      take_turns(party ~= '' and party, score, id)
    end
    all[at], all[at + 1] = score, id
    if own ~= all then own[#own + 1], own[#own + 2] = score, id end
    place, o, a = place + 1, o + owners, a + step
  end
  redis.call('ZADD', index('w'), unpack(all))
  for party, own in pairs(lines) do
    if party ~= '' then redis.call('ZADD', org_index('w', party), unpack(own)) end
    count('ad', party ~= '' and party, #own / 2, ARGV[1])
  end
  if not may_run('MSET') or redis.pcall('MSET', unpack(payloads)).err then
    for at = 1, #payloads, 2 do redis.call('SET', payloads[at], payloads[at + 1]) end
  end
  local copies = may_run('COPY')
  o, a = 9, 15
  for at, key in ipairs(keys) do
    local party, id, nonce, place = ARGV[o], ARGV[a], ARGV[a + 1], all[2 * at - 1]
    local size = copies and at > 1 and compare(o, nonce) or 0
    if size > 0 and redis.pcall('COPY', keys[1], key) == 1 then
      differs[2] = place
      redis.call('HSET', key, unpack(differs, 1, size))
    else
      set_owner(o)
      local fill = owner_fields
      fields[4] = place
      if nonce ~= '' then fields[fill + 1], fields[fill + 2], fill = 'nx', nonce, fill + 2 end
      redis.call('HSET', key, unpack(fields, 1, fill))
    end
    event('waiting', id, party ~= '' and party)
    o, a = o + owners, a + step
  end
  return true
end

-- Adds all jobs of the call, and returns the reply of `add_job` for each, with spaces between them.
local function add_all(owners, step)
  local keys, seen, out, waits, twice, last = {}, nil, {}, false, false, ''
  for a = 15, #ARGV, step do
    local id = ARGV[a]
    keys[#keys + 1] = base .. K.job .. id
    -- New ids rise. Only others have to be searched for one that comes twice.
    if not (last < id) then seen = {} end
    last = id
  end
  for _, key in ipairs(seen and keys or {}) do
    twice = twice or seen[key]
    seen[key] = true
  end
  together = #keys
  -- Most often none of them exists, which one command tells.
  local fresh = not twice and redis.call('EXISTS', unpack(keys)) == 0
  if fresh and add_waiting(keys, owners, step) then
    waits = true
    for at = 1, #keys do out[at] = '1w' end
  else
    for at = 1, #keys do
      local said = add_job(9 + owners * (at - 1), 15 + step * (at - 1), fresh and keys[at])
      out[at] = said
      waits = waits or said == '1w'
    end
  end
  if waits then ring() end
  count_added()
  publish()
  return table.concat(out, ' ')
end

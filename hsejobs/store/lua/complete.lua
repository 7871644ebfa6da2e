-- complete: active -> completed for the given jobs, then claim: waiting -> active.
-- Both parts may be empty. A resent call completes nothing twice. A claim is resent under its
-- token, with the number of times that it was sent before, `again`: it first looks for jobs that the token
-- has claimed, and renews their leases; earlier copies that arrive later claim nothing.
-- KEYS: 1 the queue's base
-- ARGV: claim_count, token, lease_ms, again, own_bell, kinds; each: id, kind, run_us, result
--   own_bell: '' or the suffix of a bell that the caller's next command, in the same packet, waits at
--   kinds: how many kinds of jobs there are; they stand before the jobs: token, task, organization or '', key or ''.
--     A task of '' means that the caller does not know what stands in the record. `kind` of a job counts from 1
-- returns: outcomes, a string with one letter per finished job
--       (c completed, k failed, because it was cancelled, r refused: the token no longer holds the job);
--       if jobs are claimed, a list: what lib/claim returns, then outcomes; or a text, as in lib/turn
-- errors: none
-- full server: runs by itself
-- first: turn
-- include: base share turns noting? limits? place rate? keyed? costs? locks? held? settle? due bucket failures? cancel? picks? claim
-- rare: is_there put_in take_from ring set_share unset_share time_of score_at priority_of enter use_turns take_turns new_place place_of to_waiting announce_due is_late revoked allowed
local SMALL = 64
local n, token, lease_ms = whole(ARGV[1], 0), ARGV[2], within(ARGV[3], 0, LONGEST_MS, 0)
local again = whole(ARGV[4], 0)

-- Of each party, the jobs that have ended: their ids, their places in `completed`, and the sum of their run times.
-- What follows when a job has left goes by how many of its party run, so it comes after all lists are right: `later`.
local outcomes, parties, ended, later, records = {}, {}, 0, {}, base .. K.job
-- The moments at which jobs began, as text: most jobs of a batch share one.
local moments, rules = {}, #ARGV > 6 and share()

local function kind_of(token, task, org, line)
  local party = org or ''
  local own = parties[party]
  if not own then
    own = { ids = {}, places = {}, us = 0 }
    parties[party] = own
  end
  return { token, task, org, line, own, {} }
end

local kinds, first = {}, 7 + 4 * whole(ARGV[6], 0)
for a = 7, first - 1, 4 do
  local org, line = ARGV[a + 2], ARGV[a + 3]
  kinds[#kinds + 1] = kind_of(ARGV[a], ARGV[a + 1], org ~= '' and org, line ~= '' and line)
end
for a = first, #ARGV, 4 do
  local nth = (a - first) / 4 + 1
  local id, kind, result = ARGV[a], kinds[tonumber(ARGV[a + 1])], ARGV[a + 3]
  local us = within(ARGV[a + 2], 0, LONGEST_RUN, 0)
  local key, its_token, task, org, line = records .. id, kind[1], kind[2], kind[3], kind[4]
  local job
  if task ~= '' then
    job = read(key, 'st', 'tk', 'cl', 'cp', 'lk', 'ev')
  else
    job = read(key, 'st', 'tk', 'cl', 'cp', 'lk', 'ev', 'n', 'o', 'ky')
    task, org, line = job[7], job[8], job[9]
    kind = kind_of(its_token, task, org, line)
    kinds[#kinds + 1] = kind
  end
  if job[3] and job[2] == its_token and (job[1] == 'a' or job[1] == 'f') then
    outcomes[nth] = 'k'
    if job[1] == 'a' then later[#later + 1] = { id, us, org, task, job[6], line, true } end
  elseif job[2] ~= its_token or (job[1] ~= 'a' and job[1] ~= 'c') then
    outcomes[nth] = 'r'
  else
    outcomes[nth] = 'c'
    if job[1] == 'a' then
      local at = math.floor((now_us - us) / 1000)
      local started = moments[at]
      if not started then
        started = int(at)
        moments[at] = started
      end
      if ended == 0 then begin() end
      if #result > SMALL then
        redis.call('SET', base .. K.result .. id, result)
        redis.call('HSET', key, 'st', 'c', 'pt', started, 'ft', NOW)
      elseif result == 'null' then
        redis.call('HSET', key, 'st', 'c', 'pt', started, 'ft', NOW)
      else
        redis.call('HSET', key, 'st', 'c', 'pt', started, 'ft', NOW, 'r', result)
      end
      if job[4] then redis.call('UNLINK', base .. K.checkpoint .. id) end
      if job[5] then free_locks(id, its_token, job[5]) end
      local own, runs, length = kind[5], kind[6], bucket('r', us)
      local nth = #own.ids + 1
      own.ids[nth], own.places[2 * nth - 1], own.places[2 * nth] = id, int(now_us + ended), id
      own.us, ended = own.us + us, ended + 1
      runs[length] = (runs[length] or 0) + 1
      if job[6] or line or rules[PARKED] or rules[LIMIT] then
        later[#later + 1] = { id, us, org, task, job[6], line }
      end
      event('completed', id, org)
    end
  end
end
for _, kind in ipairs(kinds) do
  for length, jobs in pairs(kind[6]) do count(length, kind[3], jobs, kind[2]) end
end
for party, own in pairs(parties) do
  local org, jobs = party ~= '' and party, #own.ids
  if jobs > 0 then
    redis.call('ZREM', base .. K.active, unpack(own.ids))
    redis.call('ZADD', base .. K.completed, unpack(own.places))
    if org then
      -- A broken list of one organization must not keep the jobs of others from their lists.
      redis.pcall('ZREM', org_index('a', org), unpack(own.ids))
      redis.pcall('ZADD', org_index('c', org), unpack(own.places))
    end
    just_ended[party] = jobs
    count('c', org, jobs)
    count('us', org, own.us)
  end
end
local unsettled = false
for _, one in ipairs(later) do
  local id, us, org, task, charged, line, cancelled = unpack(one, 1, 7)
  if not cancelled then
    if line then key_left(id, task or '', line) end
    if charged or rules[PARKED] or rules[LIMIT] then
      unsettled = true
      leave(id, org, task, charged, us)
    end
  elseif read(records .. id, 'st')[1] == 'a' then
    -- Not for one that this call has twice.
    begin()
    end_cancelled(id, 'a', nil, us)
    count('us', org, us)
    count(bucket('r', us), org, 1, task)
    count('fr', nil, 1, task)
  end
end
if unsettled then settle_costs() end

local claimed = {}
-- With a count of 0 too: then what was sent before is given up.
if again > 0 and not is_late(token, again) then
  begin()
  redis.call('SET', base .. K.resent .. token, again, 'EX', RESENT_TTL)
  local ids, noted = {}, redis.pcall('GET', place_of_claim(token))
  if type(noted) == 'string' and string.sub(noted, 1, #token + 1) == token .. '\n' then
    for id in string.gmatch(string.sub(noted, #token + 2), '[^\n]+') do ids[#ids + 1] = id end
  else
    ids = redis.call('ZREVRANGE', base .. K.active, 0, 999)
  end
  for _, id in ipairs(ids) do
    local key = base .. K.job .. id
    local holder = read(key, 'tk', 'cl', 'st')
    local held = holder[1] == token and holder[3] == 'a'
    if held and holder[2] then
      end_cancelled(id, 'a')
    elseif held then
      local job = read_job(key)
      local made = int(within(job[2], 1, 1000000, 1) - 1)
      put_in('a', job[6], int(now_ms + lease_ms), id)
      local payload = redis.call('MGET', base .. K.payload .. id)[1]
      add_row(claimed, job, made, id, payload, revoked(id, job[1]))
    end
  end
end
if #claimed == 0 then claimed = claim(n, token, lease_ms, again) end
if #claimed > 0 and ARGV[5] ~= '' then
  -- It has work now: its wait ends at once, and takes no signal that another worker could answer.
  redis.call('LPUSH', base .. K.ownbell .. ARGV[5], '1')
  redis.call('PEXPIRE', base .. K.ownbell .. ARGV[5], OWN_BELL_TTL_MS)
end
publish()
if #claimed == 0 then return table.concat(outcomes) end
claimed[#claimed + 1] = table.concat(outcomes)
return claimed

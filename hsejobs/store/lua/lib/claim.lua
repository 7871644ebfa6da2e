-- Claims up to `n` jobs: lease, token, attempt. A job that stalled before is claimed alone.

-- What a claim reads of a record. To name the fields takes less than to unpack a list of them.
local function read_job(key)
  local found = redis.pcall('HMGET', key,
    'n', 'am', 'ax', 'bo', 'to', 'o', 'u', 'sl', 'ws', 'ct', 'p', 'x', 'sg', 'st', 'cl', 'ky')
  return found.err and {} or found
end

-- How many jobs one claim parks or puts aside at most.
local MOST_PARKED = 200

-- Whether the claim was resent meanwhile and answered: the caller no longer waits for this copy.
local function is_late(token, again)
  return (whole(redis.call('GET', base .. K.resent .. token)) or -1) > again
end

-- Where the ids of a claim of several jobs are for as long as their leases, in case its reply is lost. A worker numbers
-- its claims, and has far fewer of them without a reply than there are places. A claim of one job is looked for among
-- the newest leases, because most claims are of one job, and their jobs are not many.
local function place_of_claim(token)
  local worker, nth = string.match(token, '^(.+)%.(%x+)$')
  return base .. K.claims .. (worker and worker .. ':' .. tonumber(nth, 16) % 16 or token)
end

-- Whether a job or its task is revoked.
local function revoked(id, name)
  local found = read(base .. K.revoked, 'r:' .. id, 'rt:' .. (name or ''))
  return found[1] or found[2]
end

-- Adds to `rows` what a worker gets of a job: a text, its id and its payload, and one more text for each other thing that
-- it has. The first begins with the number of these, and has what a broken field may break at its end. A table for each
-- job, or a value for each absence, would take Redis longer than to make the text.
local function add_row(rows, job, made, id, payload, is_revoked)
  local at = #rows
  local last = at + 3
  rows[at + 1], rows[at + 2], rows[last] = '', id, payload
  if job[6] then rows[last + 1], last = 'o' .. job[6], last + 1 end
  if job[7] then rows[last + 1], last = 'u' .. job[7], last + 1 end
  if job[8] then rows[last + 1], last = 'l' .. job[8], last + 1 end
  if job[12] and job[12] ~= '' then rows[last + 1], last = 'x', last + 1 end
  if job[13] then rows[last + 1], last = 's' .. job[13], last + 1 end
  if job[16] then rows[last + 1], last = 'k' .. job[16], last + 1 end
  if is_revoked then rows[last + 1], last = 'r', last + 1 end
  rows[at + 1] = string.sub('01234567', last - at - 2, last - at - 2) .. made .. '\n' .. (job[1] or '') .. '\n'
    .. (job[3] or '') .. '\n' .. (job[4] or '') .. '\n' .. (job[5] or '') .. '\n' .. (job[11] or '') .. '\n' .. (job[10] or '')
end

-- How many of `n` jobs the queue's own limit and rate allow now.
local function allowed(n)
  if share()[LIMIT] then n = math.min(n, whole(share()[LIMIT], n) - redis.call('ZCARD', base .. K.active)) end
  if not share()[RATE] or n < 1 then return n end
  local most, window = string.match(share()[RATE], '^(%d+) (%d+)$')
  if not most then return n end
  -- Jobs of one claim begin one after another, perhaps long after it.
  local room, opens = rate_room(base .. K.starts, tonumber(most), tonumber(window), 1)
  if room == 0 and redis.call('HGET', base .. K.share, 'o') ~= opens then
    begin()
    redis.call('HSET', base .. K.share, 'o', opens)
    redis.pcall('PUBLISH', base .. K.timer, opens)
  end
  return room, tonumber(most), tonumber(window)
end

-- Wakes another worker if it would find a job. `more`: whether that is so, nil if it is to be looked up.
local function ring_for_more(turns, more)
  if more == nil then
    more = (turns and redis.call('ZCARD', base .. K.turns)
      or redis.call('ZCOUNT', base .. K.waiting, '-inf', '(' .. int(BEHIND))) > 0
  end
  if more and (not (share()[LIMIT] or share()[RATE]) or allowed(1) > 0) then ring() end
end

-- Returns the rows of the claimed jobs.
local function claim(n, token, lease_ms, again)
  if n < 1 then return {} end
  local waiting = base .. K.waiting
  -- One command reads all that may be absent: 1 is waiting jobs, 2 delayed ones, everything else is 4 or more.
  local paused, delayed, revokes, resent = base .. K.paused, base .. K.delayed, base .. K.revoked, base .. K.resent .. token
  local there = redis.call('EXISTS', waiting, delayed, delayed, paused, paused, paused, paused,
    revokes, revokes, revokes, revokes, resent, resent, resent, resent)
  if there == 0 or (there > 3 and is_paused()) then return {} end
  if there > 1 and move_due(100) == 0 and there == 2 then return {} end
  local most, window
  if share()[LIMIT] or share()[RATE] then
    n, most, window = allowed(n)
    if n < 1 then return {} end
  end
  if share()[TASKS] then set_back() end
  -- A plain FIFO needs no turns unless tenants have limits.
  local limited = share()[TENANT] or share()[OVERRIDES]
  if limited and not share()[ON] then
    -- The jobs of other releases are under these limits too.
    begin()
    use_turns()
  end
  local turns = share()[ON] and (limited or not share()[FIFO])
  local line, from, to, alone = waiting, '-inf', '(' .. int(BEHIND), nil
  local found, ids
  if turns then
    if share()[OLD] then
      begin()
      note_old(100)
    end
    found = redis.call('ZRANGE', base .. K.turns, 0, n, 'WITHSCORES')
    if #found == 0 then
      -- Jobs that are not noted yet may be claimed by the next call.
      if share()[OLD] then ring() end
      return {}
    end
    if #found == 2 and not limited then
      -- One party alone is charged nothing, and its jobs are read like those of a FIFO.
      alone = found[1]
      local lowest = (tonumber(string.sub(alone, 1, 1)) or 5) * PRIORITY_SPAN
      line, from, to = line_of(string.sub(alone, 2)), int(lowest), int(lowest + PRIORITY_SPAN - 1)
    else
      load_turns(n, found)
    end
  end
  local shares = turns and not alone
  local begins_before = begins
  if not shares then
    ids = redis.call('ZRANGEBYSCORE', line, from, to, 'LIMIT', 0, n + 1)
    if #ids == 0 and not alone then return {} end
  end
  -- Both are rare: one command reads both.
  local special = there > 3 and redis.call('EXISTS', revokes, resent) > 0
  if special and is_late(token, again) then return {} end
  if shares then begin() end
  local rows, out, taken, payload_keys, lines = {}, {}, {}, {}, {}
  local lease_until = int(now_ms + lease_ms)
  local revocable = special and redis.call('EXISTS', base .. K.revoked) == 1
  local records, payloads_at, rules = base .. K.job, base .. K.payload, share()
  local next, id, one, parks = 0, nil, nil, 0
  while #taken < n and parks < MOST_PARKED do
    next = next + 1
    if shares then
      id, one = pick(n)
    else
      if next > #ids and parks > 0 and #ids > n then
        -- The parked ones have left the line, those that are taken leave it at the end.
        ids, next = redis.call('ZRANGEBYSCORE', line, from, to, 'LIMIT', #taken, n + 1), 1
      end
      id = ids[next]
    end
    if not id then break end
    local key = records .. id
    local job = read_job(key)
    local state, org, at = job[14], job[6], #taken + 1
    local party = org or ''
    if state ~= 'w' or job[15] or (org and not rules[ON]) then begin() end
    if state ~= 'w' and not is_there(key, job, state) then
      take_from('w', nil, id)
      redis.call('ZREM', one and line_of(one.party) or line, id)
      if one then skip(one) end
    elseif state == 'w' and turns and party ~= (one and one.party or string.sub(alone or '', 2)) then
      -- In the index of another organization: the record is correct.
      begin()
      redis.call('ZREM', one and line_of(one.party) or line, id)
      if one then skip(one) end
    elseif state == 'w' and job[15] then
      -- Put back by a repair, or by a release that knows no cancel.
      end_cancelled(id, 'w')
      if one then skip(one) end
    elseif state == 'w' and rules[TASKS] and put_aside(id, job[1] or '', org) then
      parks = parks + 1
      if one then skip(one) end
    elseif state == 'w' and job[16] and not key_room(job[1] or '', job[16]) then
      park_job(id, job[1] or '', job[16], org, redis.call('ZSCORE', waiting, id))
      parks = parks + 1
      if one then skip(one) end
    elseif state == 'w' or not settle(id, 'w', state, org, job[11]) then
      -- One that stalled before, and one with a rate, which counts from the claim.
      local apart = job[8] or (job[16] and key_paces(job[1] or ''))
      if apart and at > 1 then
        next = next - 1
        break
      end
      if org and not rules[ON] then use_turns() end
      if job[16] then key_take(job[1] or '', job[16], id) end
      if one then job.charged = take(one, job[1] or '') end
      if revocable then job.revoked = revoked(id, job[1]) end
      out[at], taken[at], payload_keys[at] = job, id, payloads_at .. id
      local own = lines[party]
      if not own then
        own = {}
        lines[party] = own
      end
      own[#own + 1] = id
      if apart then break end
    else
      redis.call('ZREM', one and line_of(one.party) or line, id)
      if one then skip(one) end
    end
  end
  -- Without other writes since then, what was read is still so.
  local more
  if not shares and begins == begins_before then more = next < #ids or #ids > n end
  if #taken > 0 then
    -- The first write, because it needs no memory.
    redis.call('ZREM', waiting, unpack(taken))
    begun = true
    local total, payloads = 0, redis.call('MGET', unpack(payload_keys))
    for at, job in ipairs(out) do
      local id, org = taken[at], job[6]
      -- Redis takes long to write a number.
      local made, attempt = job[2], '1'
      if made ~= '0' then
        made = within(made, 0, 1000000, 0)
        made, attempt = int(made), int(made + 1)
      end
      local key = records .. id
      if job.charged then
        redis.call('HSET', key, 'st', 'a', 'tk', token, 'am', attempt, 'pt', NOW, 'ev', job.charged)
      else
        redis.call('HSET', key, 'st', 'a', 'tk', token, 'am', attempt, 'pt', NOW)
      end
      local since = tonumber(job[9] or job[10])
      local waited = since and now_us - since * 1000
      if not waited or waited % 1 ~= 0 or waited < 0 or waited > now_us then
        waited = math.max(0, now_us - (whole(job[9]) or whole(job[10], now_ms)) * 1000)
      end
      total = total + waited
      count(bucket('w', waited), org, 1, job[1])
      event('active', id, org)
      add_row(rows, job, made, id, payloads[at], job.revoked)
    end
    count('wu', nil, total)
    -- The last one first: while there are few active jobs, Redis keeps them as a list and looks from its start for
    -- the place of each, after those with the same score and a lower id.
    if shares then table.sort(taken) end
    local leases = {}
    for at = 1, #taken do
      leases[2 * at - 1], leases[2 * at] = lease_until, taken[#taken + 1 - at]
    end
    redis.call('ZADD', base .. K.active, unpack(leases))
    if #taken > 1 or again > 0 then
      redis.call('SET', place_of_claim(token), token .. '\n' .. table.concat(taken, '\n'),
        'PX', int(math.max(1000, 2 * lease_ms)))
    end
    for party, line in pairs(lines) do
      if party ~= '' or share()[ON] then redis.pcall('ZREM', line_of(party), unpack(line)) end
      if party ~= '' then
        if #line < #taken then
          leases = {}
          for at = 1, #line do
            leases[2 * at - 1], leases[2 * at] = lease_until, line[#line + 1 - at]
          end
        end
        redis.pcall('ZADD', org_index('a', party), unpack(leases))
      end
    end
    if most then rate_count(base .. K.starts, most, window, #taken) end
  end
  if shares then
    write_turns()
    write_times()
  elseif alone and #taken == 0 and next >= #ids and #ids <= n and not entered[alone] then
    -- One whose last jobs were taken stays: it may get the next job, and a claim that finds none removes it.
    redis.call('ZREM', base .. K.turns, alone)
  end
  ring_for_more(turns, more)
  return rows
end

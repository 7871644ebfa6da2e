-- What a sweep does for the list of organizations.
local ORG_STATES = { 'w', 'a', 'd', 'c', 'f' }

-- Finds organizations that are not in the list: programs of older releases add jobs without it. From the end of
-- each index, as jobs leave from the front.
local function walk_jobs()
  local key = base .. K.orgswalk
  local kept = redis.pcall('GET', key)
  local at, offset = string.match(type(kept) == 'string' and kept or '1 0', '^(%d+) (%d+)$')
  at, offset = whole(at, 1), whole(offset, 0)
  if at > #ORG_STATES then return end
  local left, noted = WALKED_AT_ONCE, {}
  while left > 0 and at <= #ORG_STATES do
    local ids = redis.call('ZREVRANGE', index(ORG_STATES[at]), offset, offset + left - 1)
    for _, id in ipairs(ids) do
      local org = read(base .. K.job .. id, 'o')[1]
      if org and not noted[org] then
        noted[org] = true
        redis.call('ZADD', base .. K.orgs, 'NX', minute, org)
      end
    end
    offset = offset + #ids
    if #ids < left then at, offset = at + 1, 0 end
    left = left - #ids
  end
  redis.call('SET', key, at .. ' ' .. offset, 'EX', WALK_TTL)
end

-- Forgets organizations that have no jobs left and for which nothing is set.
local function forget_idle()
  local orgs = base .. K.orgs
  for _, org in ipairs(redis.call('ZRANGEBYSCORE', orgs, '-inf', minute - IDLE_MINUTES, 'LIMIT', 0, 10)) do
    local names = {}
    for i, state in ipairs(ORG_STATES) do names[i] = org_index(state, org) end
    if redis.call('EXISTS', unpack(names)) > 0 or read(base .. K.tenants, org)[1] then
      note_org(org)
    else
      redis.call('ZREM', orgs, org)
    end
  end
end

-- Keeps the counters of the organizations that the last minute's jobs ran longest for.
local function keep_busiest()
  local last = minute - 1
  local key = base .. K.busiest .. last
  if redis.call('EXISTS', key, base .. K.minute .. last) ~= 1 or redis.call('EXISTS', key) == 1 then return end
  local seen = redis.call('ZRANGEBYSCORE', base .. K.orgs, last, '+inf', 'LIMIT', 0, BUSIEST_COMPARED)
  if #seen == 0 then return end
  local found = {}
  for _, org in ipairs(seen) do
    local of = read(base .. K.minute .. last .. ':' .. org, 'us', 'ad', 'c', 'f', 'rt', 'ux')
    local us = whole(of[1], 0) + whole(of[6], 0)
    of[1] = us
    if us > 0 then found[#found + 1] = { org, us, of } end
  end
  table.sort(found, function(a, b) return a[2] > b[2] end)
  -- The field without a name: this minute is done, even if no organization's jobs ended in it.
  local fields = { '', '' }
  for i = 1, math.min(#found, BUSIEST_KEPT) do
    local of = found[i][3]
    local numbers = {}
    for n = 1, 5 do numbers[n] = int(whole(of[n], 0)) end
    fields[#fields + 1], fields[#fields + 2] = found[i][1], table.concat(numbers, ' ')
  end
  redis.call('HSET', key, unpack(fields))
  redis.call('EXPIRE', key, MINUTE_TTL)
end

local function tidy_orgs()
  walk_jobs()
  keep_busiest()
  forget_idle()
end

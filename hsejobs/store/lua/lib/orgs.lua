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

-- Keeps the counters of the organizations that the last minute's jobs ran longest for, some at a time. The field
-- without a name is the cursor, '' when all were compared.
local function keep_busiest()
  local last = minute - 1
  local key = base .. K.busiest .. last
  local cursor = read(key, '')[1]
  if cursor == '' or (not cursor and redis.call('EXISTS', base .. K.minute .. last) == 0) then return end
  local found, known = {}, redis.call('HGETALL', key)
  for i = 1, #known, 2 do
    if known[i] ~= '' then found[#found + 1] = { known[i], whole(string.match(known[i + 1], '^%d+'), 0), known[i + 1] } end
  end
  local scanned = redis.call('ZSCAN', base .. K.orgs, cursor or '0', 'COUNT', BUSIEST_COMPARED)
  for i = 1, #scanned[2], 2 do
    local org = scanned[2][i]
    local of = whole(scanned[2][i + 1], 0) >= last and not read(key, org)[1]
      and read(base .. K.minute .. last .. ':' .. org, 'us', 'ad', 'c', 'f', 'rt', 'ux') or {}
    local us = whole(of[1], 0) + whole(of[6], 0)
    if us > 0 then
      local numbers = { int(us) }
      for n = 2, 5 do numbers[n] = int(whole(of[n], 0)) end
      found[#found + 1] = { org, us, table.concat(numbers, ' ') }
    end
  end
  table.sort(found, function(one, other) return one[2] > other[2] end)
  local fields = { '', scanned[1] == '0' and '' or scanned[1] }
  for i = 1, math.min(#found, BUSIEST_KEPT) do
    fields[#fields + 1], fields[#fields + 2] = found[i][1], found[i][3]
  end
  redis.call('UNLINK', key)
  redis.call('HSET', key, unpack(fields))
  redis.call('EXPIRE', key, MINUTE_TTL)
end

local function tidy_orgs()
  walk_jobs()
  keep_busiest()
  forget_idle()
end

-- tenants: organizations of a queue: their jobs, the counters of the last minutes, what is set for them.
-- KEYS: 1 the queue's base
-- ARGV: cursor, limit, minutes, newest; each: organization
--   without an organization, some of all: cursor 0 at first, limit at most 200; newest: the minute of the
--   first call, '' for now
-- returns: {next cursor, 0 at the end, the newest minute, {waiting, active, delayed, failed, ended, running time in us}
--       of the whole queue, then for each organization {organization, the same, its entry in `tenants` or ''}}; one may
--       be returned twice
-- errors: none
-- read only
-- include: base
local newest, minutes = whole(ARGV[4], minute), within(ARGV[3], 1, 15, 1)
-- Before that, the queue was obliterated.
local oldest = math.max(newest - minutes, whole(read(base .. K.history, 'o')[1], 0)) + 1

-- `seen`: no counter after this minute.
local function numbers(name_of, suffix, seen)
  local out = {}
  for i, state in ipairs({ 'w', 'a', 'd', 'f' }) do out[i] = redis.call('ZCARD', name_of(state)) end
  local ended, us = 0, 0
  for at = oldest, math.min(newest, seen) do
    local of = read(base .. K.minute .. at .. suffix, 'c', 'f', 'us', 'ux')
    ended, us = ended + whole(of[1], 0) + whole(of[2], 0), us + whole(of[3], 0) + whole(of[4], 0)
  end
  out[5], out[6] = ended, us
  return out
end

local next_cursor, orgs, seen = '0', {}, {}
if #ARGV > 4 then
  for a = 5, #ARGV do orgs[#orgs + 1] = ARGV[a] end
else
  local found = redis.call('ZSCAN', base .. K.orgs, ARGV[1], 'COUNT', within(ARGV[2], 1, 200, 1))
  next_cursor = found[1]
  for i = 1, #found[2], 2 do
    orgs[#orgs + 1] = found[2][i]
    seen[#orgs] = whole(found[2][i + 1])
  end
end
local settings = #orgs > 0 and read(base .. K.tenants, unpack(orgs)) or {}
local out = { next_cursor, newest, numbers(index, '', newest) }
for i, org in ipairs(orgs) do
  local one = numbers(function(state) return org_index(state, org) end, ':' .. org, seen[i] or newest)
  table.insert(one, 1, org)
  one[8] = settings[i] or ''
  out[#out + 1] = one
end
return out

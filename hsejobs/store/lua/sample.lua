-- sample: takes the queue's sample of this minute, once; tells how far the history goes.
-- KEYS: 1 the queue's base
-- ARGV: minute, lease_ms
--   minute: which one, '' for the current one; lease_ms: for how long this caller alone adds minutes
--   that have ended to the history, 0 to add none
-- returns: {Redis time in ms, the last minute in the history or -1, the last one that could be in it, 1 if this
--       caller is to add those between, 1 if this call took the sample}
-- errors: none
-- include: base oldest
local OLDEST = '\1oldest'
local at, lease_ms = whole(ARGV[1], minute), within(ARGV[2], 0, 60000, 0)
local known = read(base .. K.history, 'm', 's', 'l')
local cursor = whole(known[1], -1)
local taken, wanted = 0, 0
if whole(known[2], -1) ~= at then
  begin()
  taken = 1
  local function depth(org)
    local name = org and org_index or index
    return redis.call('ZCARD', name('w', org)) .. ' ' .. redis.call('ZCARD', name('a', org)) .. ' '
      .. redis.call('ZCARD', name('d', org))
  end
  -- Beside the depths, where a release that does not know it takes it for an organization without any.
  local fields = { '', depth(), OLDEST, int(math.max(0, oldest_in(index('w')))) }
  local seen, orgs = { [''] = true }, redis.call('ZREVRANGE', base .. K.orgs, 0, SAMPLED - 1)
  -- Those of the minute before the last: the last one's are not compared yet.
  local busiest = redis.call('HGETALL', base .. K.busiest .. (at - 2))
  for i = 1, #busiest, 2 do orgs[#orgs + 1] = busiest[i] end
  for _, org in ipairs(orgs) do
    if not seen[org] then
      seen[org] = true
      local found = depth(org)
      if found ~= '0 0 0' then fields[#fields + 1], fields[#fields + 2] = org, found end
    end
  end
  redis.call('HSET', base .. K.sample .. at, unpack(fields))
  redis.call('EXPIRE', base .. K.sample .. at, ORG_MINUTE_TTL)
  redis.call('HSET', base .. K.history, 's', int(at))
end
-- A clock that was set back: the minutes after it come again.
if cursor > minute + 1 then cursor = minute - 1 end
-- Sweeps find the busiest organizations of a minute after its end.
local last = now_ms % 60000 >= SETTLE_MS and minute - 1 or minute - 2
if lease_ms > 0 and cursor < last and whole(known[3], 0) <= now_ms then
  begin()
  redis.call('HSET', base .. K.history, 'l', int(now_ms + lease_ms))
  wanted = 1
end
return { now_ms, cursor, last, wanted, taken }

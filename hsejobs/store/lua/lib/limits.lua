-- Weights, limits and pauses of parties.

-- Weight, limit (nil: none), pause of a party, and since when and by whom if that is known: "<ms> <who>".
local function rule_of(party)
  local limit = party ~= '' and whole(share()[TENANT]) or nil
  if party == '' or not share()[OVERRIDES] then return 1, limit, false end
  local weight, own, paused, by = string.match(read(base .. K.tenants, party)[1] or '', '^(%S+) (%S+) (%d) ?(.*)$')
  if not weight then return 1, limit, false end
  if own ~= '-' then limit = whole(own, limit) end
  return within(weight, 1, 1000, 1), limit, paused == '1', by
end

local function is_limited(party, more)
  local _, limit, paused = rule_of(party)
  return paused or (limit and redis.call('ZCARD', org_index('a', party)) + more >= limit)
end

-- Takes a member's turn away until `unpark`. It keeps its virtual time.
local function park(member, score)
  redis.call('ZREM', base .. K.turns, member)
  if not share()[FIFO] then redis.call('ZADD', base .. K.rested, int(score), member) end
  redis.call('ZADD', base .. K.parked, 'inf', member)
  if not share()[PARKED] then set_share(PARKED, '1') end
end

-- Gives a party its turn back if it is under its limit.
local function unpark(party)
  if not share()[PARKED] or is_limited(party, 0) then return end
  for priority = 1, 5 do
    local member = priority .. party
    if redis.call('ZREM', base .. K.parked, member) == 1 then
      local first = redis.call('ZRANGEBYSCORE', line_of(party), int(priority * PRIORITY_SPAN),
        int((priority + 1) * PRIORITY_SPAN - 1), 'WITHSCORES', 'LIMIT', 0, 1)
      if first[1] then
        enter(party, whole(first[2], 0))
        ring()
      end
    end
  end
end

-- forget_tenant: removes what a queue keeps of an organization besides its jobs and counters.
-- KEYS: 1 the queue's base
-- ARGV: organization
-- returns: how many entries were removed
-- errors: none
-- include: base
local org = ARGV[1]
local removed = redis.call('ZREM', base .. K.orgs, org) + redis.call('HDEL', base .. K.tenants, org)
for back = 0, MINUTE_TTL / 60 do removed = removed + redis.call('HDEL', base .. K.busiest .. (minute - back), org) end
for back = 0, ORG_MINUTE_TTL / 60 do removed = removed + redis.call('HDEL', base .. K.sample .. (minute - back), org) end
for back = 0, NAMES_KEPT do
  removed = removed + redis.call('HDEL', base .. K.names .. (math.floor(minute / NAMES_MINUTES) - back), 'o' .. org)
end
for _, turns in ipairs({ K.turns, K.rested, K.parked }) do
  for priority = 1, 5 do removed = removed + redis.call('ZREM', base .. turns, priority .. org) end
end
return removed

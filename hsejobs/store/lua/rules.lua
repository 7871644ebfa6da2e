-- rules: writes the rules of turns and limits, from the newest release's settings and code.
-- KEYS: 1 the queue's base
-- ARGV: each: field, value
--   field: f, l, r, t, g or k:<task>; value '': none. A field that is not named is removed, too.
-- returns: 1
-- errors: none
-- include: base
local rules, set = base .. K.share, {}
for a = 1, #ARGV, 2 do
  if ARGV[a + 1] ~= '' then
    set[ARGV[a]] = true
    redis.call('HSET', rules, ARGV[a], ARGV[a + 1])
  end
end
local found = redis.call('HGETALL', rules)
for i = 1, #found, 2 do
  local field = found[i]
  if (string.match(field, '^[flrtg]$') or string.sub(field, 1, 2) == 'k:') and not set[field] then
    redis.call('HDEL', rules, field)
  end
end
return 1

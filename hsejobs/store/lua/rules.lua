-- rules: writes how the queue shares: plain FIFO, limit, rate, tenant limit, ageing and the limits of keys.
-- KEYS: 1 the queue's base
-- ARGV: each: field, value
--   fields of `share`: f, l, r, t, g and k:<task>; those that are not given are removed
-- returns: 1 if that changed anything, else 0
-- errors: none
-- full server: runs
-- include: base share turns noting? limits?
-- How many members of `turns` get new scores in one call.
local MOST_MEMBERS = 1000
local given, changed = {}, 0
for a = 1, #ARGV, 2 do given[ARGV[a]] = ARGV[a + 1] end
local name = base .. K.share
local known = redis.call('HGETALL', name)
local fifo = share()[FIFO]
for i = 1, #known, 2 do
  local field = known[i]
  local is_rule = string.find('flrtg', field, 1, true) or string.sub(field, 1, 2) == 'k:'
  if is_rule and given[field] == nil then
    redis.call('HDEL', name, field)
    changed = 1
  elseif given[field] == known[i + 1] then
    given[field] = nil
  end
end
for field, value in pairs(given) do
  redis.call('HSET', name, field, value)
  changed = 1
end
if changed == 1 then
  -- Limits of keys may have changed.
  for _, one in ipairs(redis.call('ZRANGE', base .. K.keyparked, 0, 999)) do
    redis.call('ZADD', base .. K.keyparked, NOW, one)
  end
  redis.pcall('PUBLISH', base .. K.timer, NOW)
end
shared = nil
if share()[FIFO] ~= fifo and share()[ON] then
  -- The scores have another meaning: all begin again at 0, or with a place that the claim corrects.
  redis.call('UNLINK', base .. K.rested)
  redis.call('HDEL', name, 'v1', 'v2', 'v3', 'v4', 'v5')
  local members = redis.call('ZRANGE', base .. K.turns, 0, MOST_MEMBERS)
  if #members <= MOST_MEMBERS then
    for _, member in ipairs(members) do
      local priority = whole(string.sub(member, 1, 1), 5)
      redis.call('ZADD', base .. K.turns, int(priority * PRIORITY_SPAN), member)
    end
  else
    -- Too many for one call: note all waiting jobs again.
    redis.call('UNLINK', base .. K.turns)
    unset_share(ON)
    use_turns()
  end
end
if changed == 1 and redis.call('ZCARD', base .. K.waiting) > 0 then ring() end
return changed

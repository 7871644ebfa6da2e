-- circuits: all circuits, those unchanged for longest first.
-- KEYS: 1 the circuits' base
-- ARGV: offset, limit
-- returns: {Redis time in ms, names read, then for each circuit {name, state, failures, since,
--   until, last error}}
-- errors: none
-- read only
-- include: base circuit
local all = redis.call('ZRANGEBYSCORE', names, '(' .. NOW, '+inf', 'LIMIT', ARGV[1], ARGV[2])
local out = { now_ms, #all }
for _, name in ipairs(all) do
  local one = redis.call('HMGET', circuit_of(name), 's', 'f', 'si', 'un', 'le')
  if one[1] then
    table.insert(one, 1, name)
    out[#out + 1] = one
  end
end
return out

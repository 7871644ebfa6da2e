-- circuit_forget: circuits go, whatever their state.
-- KEYS: 1 the circuits' base
-- ARGV: each: name
-- returns: how many there were
-- errors: none
-- include: base circuit
local forgotten = 0
for _, name in ipairs(ARGV) do
  redis.call('ZREM', names, name)
  forgotten = forgotten + redis.call('UNLINK', circuit_of(name))
end
return forgotten

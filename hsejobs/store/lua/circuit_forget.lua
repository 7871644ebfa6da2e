-- circuit_forget: deletes circuits in any state.
-- KEYS: 1 the circuits' base
-- ARGV: each: name
-- returns: how many existed
-- errors: none
-- include: base circuit
local forgotten = 0
for _, name in ipairs(ARGV) do
  redis.call('ZREM', names, name)
  forgotten = forgotten + redis.call('UNLINK', circuit_of(name))
end
return forgotten

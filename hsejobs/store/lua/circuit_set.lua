-- circuit_set: opens or closes a circuit manually. A circuit opened so stays open until it is closed so.
-- KEYS: 1 the circuits' base
-- ARGV: name, open
--   open 0: close
-- returns: 1; 0 if the circuit to close does not exist
-- errors: none
-- full server: runs
-- include: base circuit
local name = ARGV[1]
local key = circuit_of(name)
local state = redis.call('HGET', key, 's')
if ARGV[2] == '1' then
  if state ~= 'h' then redis.call('HSET', key, 's', 'h', 'si', NOW) end
elseif not state then
  return 0
elseif state ~= 'c' then
  redis.call('HSET', key, 's', 'c', 'si', NOW, 'f', '0')
else
  redis.call('HSET', key, 'f', '0')
end
redis.call('HDEL', key, 'un', 'w', 'tk', 'tu')
keep_circuit(name, ARGV[2] == '1')
return 1

-- A circuit opened or closed by hand. Opened so, it stays open until it is closed so.
-- KEYS: 1 the circuits' base
-- ARGV: name, open
--   open 0: close
-- returns: 1; 0 when a circuit that should be closed is not there
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

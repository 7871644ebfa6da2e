-- circuit_set: opens or closes a circuit manually. A circuit opened so stays open until it is closed so.
-- KEYS: 1 the circuits' base
-- ARGV: name, open, seen, entry
--   open 0: close; seen: since when the circuit is in the state that the user saw, in Redis ms, '' for any;
--   entry: lib/audit
-- returns: 1; 0 if the circuit to close does not exist; -1 if its state changed since it was seen
-- errors: none
-- full server: runs
-- include: base circuit audit?
local name = ARGV[1]
local key = circuit_of(name)
local found = redis.call('HMGET', key, 's', 'si')
local state = found[1]
if ARGV[3] ~= '' and whole(found[2], 0) ~= whole(ARGV[3], 0) then
  record_act(ARGV[4], true)
  return -1
end
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
record_act(ARGV[4], true, state ~= (ARGV[2] == '1' and 'h' or 'c') and 1 or 0)
return 1

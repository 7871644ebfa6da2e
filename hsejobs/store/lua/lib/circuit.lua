-- Circuits: a hash each, and the names of all with the time when each is forgotten.
local CIRCUIT_TTL = 86400000
local names = base .. K.circuits

local function circuit_of(name)
  return base .. K.circuit .. name
end

-- Sets when a circuit is forgotten; `forever` for one that a person holds open.
local function keep_circuit(name, forever)
  local key = circuit_of(name)
  redis.call('ZREMRANGEBYSCORE', names, '-inf', NOW)
  if forever then
    redis.call('PERSIST', key)
    redis.call('ZADD', names, '+inf', name)
  else
    redis.call('PEXPIRE', key, CIRCUIT_TTL)
    redis.call('ZADD', names, int(now_ms + CIRCUIT_TTL), name)
  end
end

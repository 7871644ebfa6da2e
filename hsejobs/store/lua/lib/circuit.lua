-- Circuits: a hash for each, and a set of all names scored by when each expires.
local CIRCUIT_TTL = 86400000
local names = base .. K.circuits

local function circuit_of(name)
  return base .. K.circuit .. name
end

-- Sets when a circuit expires; `forever` for one that was opened manually.
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

-- circuit_report: how a call ended. Consecutive failures open the circuit; a trial closes it, or doubles its time.
-- KEYS: 1 the circuits' base
-- ARGV: name, token, verdict, error, threshold, open_ms, longest_ms
--   verdict: ok, fail, or none if unknown; token as for `circuit_enter`
-- returns: the state's letter: "c" closed, "o" open, "t" a trial runs, "h" opened manually
-- errors: none
-- full server: runs
-- include: base circuit
local name, token, verdict = ARGV[1], ARGV[2], ARGV[3]
local key = circuit_of(name)
local found = redis.call('HMGET', key, 's', 'f', 'w', 'tk', 'rt')
local state, failures = found[1] or 'c', within(found[2], 0, 1000000000, 0)
local open_ms, longest_ms = within(ARGV[6], 0, LONGEST_MS, 0), within(ARGV[7], 0, LONGEST_MS, 0)
local trial = state == 't' and found[4] == token
if state == 'h' then return 'h' end
if verdict == 'none' then
  if not trial then return state end
  redis.call('HSET', key, 's', 'o', 'un', NOW)
  redis.call('HDEL', key, 'tk', 'tu')
  return 'o'
end
if verdict == 'ok' then
  if trial then
    redis.call('HSET', key, 's', 'c', 'f', '0', 'si', NOW)
    redis.call('HDEL', key, 'un', 'w', 'tk', 'tu')
    keep_circuit(name)
    return 'c'
  end
  -- The result of a call that began before the circuit opened does not close it; only the trial does.
  if state == 'c' and failures > 0 then redis.call('HSET', key, 'f', '0') end
  return state
end
-- A report that is resent after a lost reply counts once.
local reported = ' ' .. (found[5] or '')
if string.find(reported, ' ' .. token .. ' ', 1, true) then return state end
local longer = 0
if trial then
  longer = math.min(within(found[3], 0, LONGEST_MS, open_ms) * 2, longest_ms)
elseif state == 'c' and failures + 1 >= whole(ARGV[5], 1) then
  longer = open_ms
  redis.call('HSET', key, 'si', NOW)
elseif not found[1] then
  redis.call('HSET', key, 's', 'c', 'si', NOW)
end
redis.call('HSET', key, 'f', failures + 1, 'le', ARGV[4],
  'rt', token .. ' ' .. string.sub(found[5] or '', 1, 1000))
if longer > 0 then
  state = 'o'
  redis.call('HSET', key, 's', 'o', 'w', longer, 'un', int(now_ms + longer))
  redis.call('HDEL', key, 'tk', 'tu')
end
keep_circuit(name)
return state

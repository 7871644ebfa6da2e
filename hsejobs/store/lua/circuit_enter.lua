-- circuit_enter: whether a call may be made. When the time of an open circuit is over, the next call is the trial.
-- KEYS: 1 the circuits' base
-- ARGV: name, token, trial_ms
--   token: identifies this call; trial_ms: if a trial is not reported by then, the next call is the trial
-- returns: {letter, ms to wait}: "c" closed, "t" this call is the trial, "o" open, "w" a trial runs
-- errors: none
-- full server: runs
-- include: base circuit
local name, token = ARGV[1], ARGV[2]
local key = circuit_of(name)
local found = redis.call('HMGET', key, 's', 'un', 'tk', 'tu')
local state = found[1] or 'c'
if state == 'c' then return { 'c', 0 } end
if state == 'h' then return { 'o', -1 } end
if state == 't' and found[3] == token then return { 't', 0 } end
local over = whole(state == 't' and found[4] or found[2], 0)
if now_ms < over then return { state == 't' and 'w' or 'o', over - now_ms } end
redis.call('HSET', key, 's', 't', 'tk', token, 'tu', int(now_ms + within(ARGV[3], 0, LONGEST_MS, 0)))
keep_circuit(name)
return { 't', 0 }

-- Adds one job from 13 values of ARGV beginning at `a`. Returns "1<state letter>" when it was made,
-- "0<state letter>" when it was there; one that this very call made before (same nonce) counts as made.
local function add_job(a)
  local id, nonce = ARGV[a], ARGV[a + 1]
  local key = base .. K.job .. id
  local there = redis.call('HMGET', key, 'st', 'nx')
  if there[1] then return ((there[2] or '') == nonce and '1' or '0') .. there[1] end
  local org, user, delay = ARGV[a + 4], ARGV[a + 5], tonumber(ARGV[a + 6])
  local fields = {
    'n', ARGV[a + 2], 'p', ARGV[a + 3], 'ct', NOW,
    'am', '0', 'ax', ARGV[a + 7], 'bo', ARGV[a + 8], 'to', ARGV[a + 9],
  }
  local at = #fields
  if org ~= '' then fields[at + 1], fields[at + 2], at = 'o', org, at + 2 else org = nil end
  if user ~= '' then fields[at + 1], fields[at + 2], at = 'u', user, at + 2 end
  if nonce ~= '' then fields[at + 1], fields[at + 2], at = 'nx', nonce, at + 2 end
  if ARGV[a + 12] ~= '' then fields[at + 1], fields[at + 2], at = 'sg', ARGV[a + 12], at + 2 end
  if ARGV[a + 11] ~= '' then
    fields[at + 1], fields[at + 2] = 'x', '1'
    redis.call('SET', base .. K.extras .. id, ARGV[a + 11])
  end
  redis.call('SET', base .. K.payload .. id, ARGV[a + 10])
  count('ad', org)
  if delay > 0 then
    local run_at = int(now_ms + delay)
    redis.call('HSET', key, 'st', 'd', 'ra', run_at, unpack(fields))
    put_in('d', org, run_at, id)
    announce_due(id, run_at)
    event('delayed', id, org)
    return '1d'
  end
  to_waiting(id, org, tonumber(ARGV[a + 3]), fields)
  event('waiting', id, org)
  return '1w'
end

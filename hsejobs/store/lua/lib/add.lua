-- Adds one job from the eight shared values at the start of ARGV and its own nine from index `a`. Returns
-- "1<state letter>" if it was created, "0<state letter>" if it existed; a job that this call created
-- before (same nonce) counts as created. "q<number>": not added, because its organization has that many
-- waiting and delayed jobs and `tenant_backlog` (0: no quota) allows no more.
local delay, extras = within(ARGV[3], 0, LONGEST_MS, 0), ARGV[7]
local quota = ARGV[8] ~= '0' and whole(ARGV[8], 0) or 0
local run_at = delay > 0 and int(now_ms + delay)
-- The hash's fields; field 4 is the job's own place, and optional fields are appended.
local fields = {
  'st', run_at and 'd' or 'w', run_at and 'ra' or 'sc', run_at or '',
  'n', ARGV[1], 'p', ARGV[2], 'ct', NOW, 'am', '0', 'ax', ARGV[4], 'bo', ARGV[5], 'to', ARGV[6],
}
local shared = #fields
if extras ~= '' then fields[shared + 1], fields[shared + 2], shared = 'x', '1', shared + 2 end

local function add_job(a)
  local id, nonce, org, user, signature = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4]
  local key = base .. K.job .. id
  if redis.call('EXISTS', key) == 1 then
    local there = read(key, 'st', 'nx')
    return ((there[2] or '') == nonce and '1' or '0') .. state_of(there[1])
  end
  if quota > 0 and org ~= '' then
    local backlog = redis.call('ZCARD', org_index('w', org)) + redis.call('ZCARD', org_index('d', org))
    if backlog >= quota then
      count('rf', org)
      return 'q' .. int(backlog)
    end
  end
  local place = not run_at and new_place(ARGV[2])
  local at = shared
  if org ~= '' then fields[at + 1], fields[at + 2], at = 'o', org, at + 2 else org = nil end
  if user ~= '' then fields[at + 1], fields[at + 2], at = 'u', user, at + 2 end
  if nonce ~= '' then fields[at + 1], fields[at + 2], at = 'nx', nonce, at + 2 end
  if signature ~= '' then fields[at + 1], fields[at + 2], at = 'sg', signature, at + 2 end
  if ARGV[a + 6] ~= '' then fields[at + 1], fields[at + 2], at = 'ro', ARGV[a + 6], at + 2 end
  if ARGV[a + 7] ~= '' then fields[at + 1], fields[at + 2], at = 'ky', ARGV[a + 7], at + 2 end
  if ARGV[a + 8] ~= '' then
    fields[at + 1], fields[at + 2], at = 'fa', ARGV[a + 8], at + 2
    join_family(id, ARGV[a + 8])
  end
  redis.call('SET', base .. K.payload .. id, ARGV[a + 5])
  if extras ~= '' then redis.call('SET', base .. K.extras .. id, extras) end
  count('ad', org, 1, ARGV[1])
  if run_at then
    redis.call('HSET', key, unpack(fields, 1, at))
    put_in('d', org, run_at, id)
    announce_due(id, run_at)
    event('delayed', id, org)
    return '1d'
  end
  fields[4] = place
  redis.call('HSET', key, unpack(fields, 1, at))
  put_in('w', org, place, id)
  event('waiting', id, org)
  return '1w'
end

-- Claims up to `n` jobs: lease, token, attempt. A job that stalled before is claimed alone.
local FIELDS = { 'n', 'am', 'ax', 'bo', 'to', 'o', 'u', 'sl', 'ws', 'ct', 'p', 'x', 'sg', 'st', 'cl' }

-- Whether the claim was resent meanwhile and answered: the caller no longer waits for this copy.
local function is_late(token, again)
  return (whole(redis.call('GET', base .. K.resent .. token)) or -1) > again
end

-- Whether a job or its task is revoked: 'revoked' or ''.
local function revoked(id, name)
  local found = read(base .. K.revoked, 'r:' .. id, 'rt:' .. (name or ''))
  return (found[1] or found[2]) and 'revoked' or ''
end

-- Returns a list for each job: the FIELDS except the last two, 'revoked' or '', id, payload; absent ones are nil.
local function claim(n, token, lease_ms, again)
  if n < 1 or is_paused() then return {} end
  move_due(100)
  local waiting = base .. K.waiting
  local ids = redis.call('ZRANGE', waiting, 0, n - 1)
  if #ids == 0 then return {} end
  -- Both are rare: one command reads both.
  local special = redis.call('EXISTS', base .. K.revoked, base .. K.resent .. token) > 0
  if special and is_late(token, again) then return {} end
  begin()
  local out, taken, payload_keys, leases = {}, {}, {}, {}
  local lease_until = int(now_ms + lease_ms)
  local revocable = special and redis.call('EXISTS', base .. K.revoked) == 1
  for _, id in ipairs(ids) do
    local key = base .. K.job .. id
    local job = read(key, unpack(FIELDS))
    local state, org, at = job[14], job[6], #taken + 1
    if state ~= 'w' and not is_there(key, job, state) then
      take_from('w', nil, id)
    elseif state == 'w' and job[15] then
      -- Put back by a repair, or by a release that knows no cancel.
      end_cancelled(id, 'w')
    elseif state == 'w' or not settle(id, 'w', state, org, job[11]) then
      if job[8] and at > 1 then break end
      job[14], job[15] = revocable and revoked(id, job[1]) or '', id
      out[at], taken[at], payload_keys[at] = job, id, base .. K.payload .. id
      leases[2 * at - 1], leases[2 * at] = lease_until, id
      if job[8] then break end
    end
  end
  if #taken > 0 then
    for _, job in ipairs(out) do
      local id, org = job[15], job[6]
      local made = within(job[2], 0, 1000000, 0)
      job[2] = int(made)
      redis.call('HSET', base .. K.job .. id, 'st', 'a', 'tk', token, 'am', made + 1, 'pt', NOW)
      if org then
        redis.call('ZREM', org_index('w', org), id)
        redis.call('ZADD', org_index('a', org), lease_until, id)
      end
      local since = whole(job[9]) or whole(job[10], now_ms)
      count('w' .. bucket(now_us - since * 1000), org)
      event('active', id, org)
    end
    redis.call('ZREM', waiting, unpack(taken))
    redis.call('ZADD', base .. K.active, unpack(leases))
    local payloads = redis.call('MGET', unpack(payload_keys))
    for at = 1, #out do out[at][16] = payloads[at] end
  end
  if redis.call('ZCARD', waiting) > 0 then ring() end
  return out
end

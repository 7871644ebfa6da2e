-- What `complete` does most often besides completing: it claims one job, of the only party that waits, or finds that
-- there is nothing to do. As lib/one: without functions, by the rules of the rest, and only if there is nothing special
-- about the job or the queue.
if #ARGV == 5 and ARGV[1] == '1' and ARGV[4] == '0' and string.find(ARGV[3], '^%d+$') and #ARGV[3] < 11 then
  local base, token = KEYS[1], ARGV[2]
  local waiting = base .. K.waiting
  local paused, delayed, revokes, resent = base .. K.paused, base .. K.delayed, base .. K.revoked, base .. K.resent .. token
  local there = redis.call('EXISTS', waiting, paused, paused, delayed, delayed, revokes, revokes, resent, resent)
  if there == 0 then return { '', {} } end
  local rules = there == 1 and redis.pcall('HMGET', base .. K.share, 'f', 'on', 'l', 'r', 't', 'x', 's', 'p', 'h')
  if rules and not (rules.err or rules[3] or rules[4] or rules[5] or rules[6] or rules[7] or rules[8] or rules[9]) then
    local on, party, line, ids = rules[2], nil, nil, nil
    if on and rules[1] ~= '0' then
      local members = redis.call('ZRANGE', base .. K.turns, '0', '1')
      if #members == 1 and string.find(members[1], '^[1-5]') then
        party = string.sub(members[1], 2)
        line = party == '' and base .. K.unowned or base .. K.org .. K.waiting .. ':' .. party
        local lowest = string.sub(members[1], 1, 1) * PRIORITY_SPAN
        ids = redis.call('ZRANGEBYSCORE', line, string.format('%.0f', lowest),
          string.format('(%.0f', lowest + PRIORITY_SPAN), 'LIMIT', '0', '2')
      end
    else
      ids = redis.call('ZRANGEBYSCORE', waiting, '-inf', string.format('(%.0f', 6 * PRIORITY_SPAN), 'LIMIT', '0', '2')
    end
    local id = ids and ids[1]
    local name = base .. K.job .. (id or '')
    local job = id and redis.pcall('HMGET', name,
      'n', 'am', 'ax', 'bo', 'to', 'o', 'u', 'sl', 'ws', 'ct', 'p', 'x', 'sg', 'st', 'cl', 'ky')
    local since = job and (job[9] or job[10])
    if since and job[14] == 'w' and job[1] and not (job[8] or job[15] or job[16]) and string.find(since, '^%d+$')
      and #since < 15 and string.find(job[2] or '', '^%d+$') and #job[2] < 6
      and (not party or party == (job[6] or '')) and (on or not job[6]) then
      local org = job[6]
      local payload = redis.call('MGET', base .. K.payload .. id)[1]
      local bell = base .. K.bell
      -- Another worker would find the next job.
      local rings = ids[2] and redis.call('EXISTS', bell) == 0
      if RIGHTS then
        redis.call('ZREM', waiting, id)
        local clock = redis.call('TIME')
        local seconds, micros = clock[1], string.sub('00000' .. clock[2], -6)
        local now = seconds .. string.sub(micros, 1, 3)
        local long = string.format('%d', 9007199254740992) == '9007199254740992' and '%d' or '%.0f'
        local lease = string.format(long, now + ARGV[3])
        redis.call('HSET', name, 'st', 'a', 'tk', token, 'am', string.format('%d', job[2] + 1), 'pt', now)
        if org then redis.call('ZADD', base .. K.org .. K.active .. ':' .. org, lease, id) end
        if on then
          redis.call('ZREM', org and base .. K.org .. K.waiting .. ':' .. org or base .. K.unowned, id)
        end
        redis.call('ZADD', base .. K.active, lease, id)
        if rings then redis.call('LPUSH', bell, '1') end
        if ARGV[5] ~= '' then
          redis.call('LPUSH', base .. K.ownbell .. ARGV[5], '1')
          redis.call('PEXPIRE', base .. K.ownbell .. ARGV[5], 'OWN_BELL_TTL_MS')
        end
        local waited = math.max(0, seconds * 1000000 + micros - since * 1000)
        local bucket = string.format('w%d', math.floor(4 * math.log(waited + 1) / 0.6931471805599453))
        local minute = base .. K.minute .. math.floor(seconds / 60)
        local counts = { minute, bucket .. '|' .. job[1], 1, minute, 'wu', waited, minute .. ':' .. (org or ''), bucket, 1 }
        local fresh = false
        for at = 1, org and 7 or 4, 3 do
          local counters, field, by = counts[at], counts[at + 1], counts[at + 2]
          local value = redis.pcall('HINCRBY', counters, field, by == 1 and '1' or string.format(long, by))
          if type(value) ~= 'number' then
            redis.call('HSET', counters, field, string.format(long, by))
            value = by
          end
          fresh = value == by or (fresh and at == 4)
          if fresh and at > 1 then redis.call('EXPIRE', counters, at == 4 and 'RAW_TTL' or 'ORG_MINUTE_TTL') end
        end
        redis.call('XADD', base .. K.events, 'MAXLEN', '~', 'EVENTS_KEPT', '*', 'active', org and id .. '\t' .. org or id)
        job[14], job[15], job[16], job[17] = '', id, payload, false
        return { '', { job } }
      end
    end
  end
end

-- What `complete` does most often: one job has ended, and one is claimed; or one of both, or there is nothing to do. As
-- lib/one: without functions, by the rules of the rest, and only if there is nothing special about the jobs or the queue.
-- Several parties may wait, but none has a weight or a limit.
-- The reply is one text: for a table, Redis takes blocks of memory, because it learns the length last. The text has the
-- outcome; after a claim, in the same line, how many words there are and the bytes of the payload; in lines of their
-- own, the job's id, these words, and the head, as lib/claim makes them; then the payload. A larger payload, which takes
-- longer to copy, is a text of its own.
local args = ARGV
local ends, wants = #args == 14, args[1] == '1'
if (ends or (#args == 6 and wants)) and (wants or args[1] == '0') and args[4] == '0'
  and (not wants or (string.find(args[3], '^%d+$') and #args[3] < 11))
  and (not ends or (args[6] == '1' and args[8] ~= '' and args[10] == '' and string.find(args[13], '^[1-9]%d*$')
    and #args[13] < 11)) then
  local base, token, ended, result = KEYS[1], args[2], args[11], args[14]
  local waiting, active, bell = base .. K.waiting, base .. K.active, base .. K.bell
  local delayed, paused, revokes, resent = base .. K.delayed, base .. K.paused, base .. K.revoked, base .. K.resent .. token
  -- 1 is waiting jobs, 2 delayed ones; everything else is 4 or more.
  local there = wants and redis.call('EXISTS', waiting, delayed, delayed, paused, paused, paused, paused,
    revokes, revokes, revokes, revokes, resent, resent, resent, resent) or 0
  if there == 0 and not ends then return '' end
  local clock = redis.call('TIME')
  local seconds, micros = clock[1], string.sub('00000' .. clock[2], -6)
  local now = seconds .. string.sub(micros, 1, 3)
  local fits = there < 4 and (there < 2 or #redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', '0', '1') == 0)
  if fits and there == 2 and not ends then return '' end
  local waits = there % 2 == 1
  -- Takes Redis a third of the time of `%.0f`, but has 32 bits in some builds.
  local long = string.format('%d', 9007199254740992) == '9007199254740992' and '%d' or '%.0f'
  -- The job that has ended: what it was charged (lib/costs) is corrected.
  local charged, own, owes, latest, before, learned
  if fits and ends then
    local job = redis.pcall('HMGET', base .. K.job .. ended, 'st', 'tk', 'cl', 'cp', 'lk', 'ev')
    fits = job[1] == 'a' and job[2] == args[7] and not (job[3] or job[4] or job[5])
    charged = fits and job[6]
  end
  local priority
  if charged then
    local expected, start
    priority, expected, start = string.match(charged, '^([1-5]) (%d+) (%d+)$')
    fits = priority and #expected < 15 and #start < 17
    if fits then
      own, owes, latest = priority .. args[9], args[13] - expected, start + args[13]
    end
  end
  local share, turns, resting, rules = base .. K.share, base .. K.turns, base .. K.rested, nil
  if fits and charged then
    rules = redis.pcall('HMGET', share, 'l', 'p', 'r', 't', 'x', 's', 'h', 'on', 'f', 'e:' .. args[8], 'v' .. priority)
  elseif fits and waits then
    rules = redis.pcall('HMGET', share, 'l', 'p', 'r', 't', 'x', 's', 'h', 'on', 'f')
  elseif fits then
    rules = redis.pcall('HMGET', share, 'l', 'p')
  end
  fits = rules and not (rules.err or rules[1] or rules[2] or rules[3] or rules[4] or rules[5] or rules[6] or rules[7])
  local on, fifo = fits and rules[8], fits and rules[9] == '0'
  local stands, rested, moves
  if fits and charged then
    before = rules[10] or '10000'
    fits = not fifo and on and string.find(before, '^[1-9]%d*$') and #before < 14
    if fits then
      learned = math.max(1, math.floor(before + (args[13] - before) / 8 + 0.5))
      stands = tonumber(redis.call('ZSCORE', turns, own))
      fits = not stands or (stands % 1 == 0 and stands < 9e15)
      if not stands then
        -- It has no waiting jobs: it is corrected for when it comes back.
        rested = redis.call('ZSCORE', resting, own)
        local time, lowest = rules[11] or '0', priority * PRIORITY_SPAN
        fits = string.find(rested or '0', '^%d+$') and string.find(time, '^%d+$') and #time < 16
        moves = fits and (rested and rested - lowest + owes or latest)
        fits = fits and moves < PRIORITY_SPAN - 1
        if fits and moves <= tonumber(time) then moves = nil end
      end
    end
  end
  -- The job to claim, and what its party is charged if others wait as well.
  local line, ids, id, job, rings, since, member, member_at, several, charge, place, time, rests
  if fits and waits then
    local party
    if on and not fifo then
      local found = redis.call('ZRANGE', turns, '0', '1')
      local second, second_at, seen = nil, nil, not stands
      if #found == 1 then
        member, member_at = found[1], stands and stands + owes
        found = {}
      elseif #found > 1 then
        found = redis.call('ZRANGE', turns, '0', stands and '2' or '1', 'WITHSCORES')
      end
      for at = 1, #found > 0 and #found + 2 or 0, 2 do
        local one, score = found[at], tonumber(found[at + 1])
        -- The job that has ended is paid for.
        if one == own and stands or not one and not seen then one, score, seen = own, stands + owes, true end
        if not one then break end
        -- The order of equals is their own, unless one of them has moved.
        local moved = stands and (one == own or member == own or second == own)
        if moved and (score == member_at or score == second_at) then fits = false end
        if not member or score < member_at then
          second, second_at, member, member_at = member, member_at, one, score
        elseif not second or score < second_at then
          second, second_at = one, score
        end
      end
      several = second
      if second and member_at == second_at and ends and string.sub(member, 2) == args[9]
        and string.sub(second, 2) ~= args[9] then
        member, member_at = second, second_at
      end
      if fits and member and string.find(member, '^[1-5]') then
        party = string.sub(member, 2)
        line = party == '' and base .. K.unowned or base .. K.org .. K.waiting .. ':' .. party
        local lowest = string.sub(member, 1, 1) * PRIORITY_SPAN
        ids = redis.call('ZRANGEBYSCORE', line, string.format(long, lowest),
          '(' .. string.format(long, lowest + PRIORITY_SPAN), 'LIMIT', '0', '2')
      end
    else
      ids = redis.call('ZRANGEBYSCORE', waiting, '-inf', '(' .. string.format(long, 6 * PRIORITY_SPAN), 'LIMIT', '0', '2')
    end
    id = ids and ids[1]
    job = id and redis.pcall('HMGET', base .. K.job .. id,
      'n', 'am', 'ax', 'bo', 'to', 'o', 'u', 'sl', 'ws', 'ct', 'p', 'x', 'sg', 'st', 'cl', 'ky')
    since = job and (job[9] or job[10])
    fits = since and job[14] == 'w' and job[1] and not (job[8] or job[15] or job[16]) and string.find(since, '^%d+$')
      and #since < 15 and string.find(job[2] or '', '^%d+$') and #job[2] < 6
      and (not party or party == (job[6] or '')) and (on or not job[6])
      -- A word of the reply is a line.
      and not string.find(id .. (job[6] or '') .. (job[7] or '') .. (job[13] or ''), '\n', 1, true)
    line = on and (job and job[6] and base .. K.org .. K.waiting .. ':' .. job[6] or base .. K.unowned)
    -- Another worker would find the next job.
    rings = fits and (ids[2] or several) and redis.call('EXISTS', bell) == 0
    if fits and several then
      local its = string.sub(member, 1, 1)
      local known = redis.call('HMGET', share, 'e:' .. job[1], 'v' .. its)
      local price, lowest = known[1] or '10000', its * PRIORITY_SPAN
      if charged and job[1] == args[8] then price = string.format(long, learned) end
      local start, reached = member_at - lowest, known[2] or '0'
      fits = start % 1 == 0 and string.find(price, '^[1-9]%d*$') and #price < 14 and string.find(reached, '^%d+$') and #reached < 16
        and start >= 0 and start + price < PRIORITY_SPAN - 1
      if fits then
        place, charge = lowest + start + price, its .. ' ' .. price .. ' ' .. string.format(long, start)
        -- The virtual time of its priority advances to there.
        if start > tonumber(reached) then time = start end
        rests = not ids[2] and start + price > tonumber(reached)
      end
    end
  end
  local payload = fits and waits and redis.call('MGET', base .. K.payload .. id)[1]
  if fits and RIGHTS then
    -- The first write must need no memory.
    redis.call('ZREM', ends and active or waiting, ends and ended or id)
    local minute = math.floor(seconds / 60)
    local counters = base .. K.minute .. minute
    local left, taken, reply, large
    if ends then
      local us, name, score = tonumber(args[13]), base .. K.job .. ended, seconds .. micros
      local started = string.format(long, math.floor((seconds * 1000000 + micros - us) / 1000))
      if charged then
        redis.call('HDEL', name, 'ev')
        redis.call('HSET', share, 'e:' .. args[8], string.format(long, learned))
        if stands and own ~= member then
          redis.call('ZADD', turns, string.format(long, stands + owes), own)
        elseif moves then
          local score = priority * PRIORITY_SPAN + math.floor(moves + 0.5)
          redis.call('ZADD', resting, string.format(long, score), own)
        elseif rested then
          redis.call('ZREM', resting, own)
        end
      end
      if #result > 64 then
        redis.call('SET', base .. K.result .. ended, result)
        redis.call('HSET', name, 'st', 'c', 'pt', started, 'ft', now)
      elseif result == 'null' then
        redis.call('HSET', name, 'st', 'c', 'pt', started, 'ft', now)
      else
        redis.call('HSET', name, 'st', 'c', 'pt', started, 'ft', now, 'r', result)
      end
      redis.call('ZADD', base .. K.completed, score, ended)
      local bucket = string.format('r%d', math.floor(4 * math.log(us + 1) / 0.6931471805599453))
      local owner, own, ttl, fields = args[9], counters, 'RAW_TTL', { 'c', 'us', bucket .. '|' .. args[8] }
      left = ended
      if owner ~= '' then
        redis.pcall('ZREM', base .. K.org .. K.active .. ':' .. owner, ended)
        redis.pcall('ZADD', base .. K.org .. K.completed .. ':' .. owner, score, ended)
        left = ended .. '\t' .. owner
      end
      for i = 1, owner == '' and 1 or 2 do
        local fresh = false
        for at = 1, 3 do
          local by = at == 2 and args[13] or '1'
          local value = redis.pcall('HINCRBY', own, fields[at], by)
          if type(value) ~= 'number' then
            redis.pcall('HSET', own, fields[at], by)
            value = tonumber(by)
          end
          if value == (at == 2 and us or 1) then fresh = true end
        end
        if fresh then
          redis.call('EXPIRE', own, ttl)
          if i == 2 then redis.call('ZADD', base .. K.orgs, minute, owner) end
        end
        own, ttl, fields[3] = counters .. ':' .. owner, 'ORG_MINUTE_TTL', bucket
      end
    end
    if waits then
      local org, name = job[6], base .. K.job .. id
      local lease = string.format(long, now + args[3])
      if ends then redis.call('ZREM', waiting, id) end
      local attempt = string.format('%d', job[2] + 1)
      if several then
        local score = string.format(long, place)
        redis.call('HSET', name, 'st', 'a', 'tk', token, 'am', attempt, 'pt', now, 'ev', charge)
        if rests then redis.call('ZADD', resting, score, member) end
        if ids[2] then redis.call('ZADD', turns, score, member) else redis.call('ZREM', turns, member) end
        if time then redis.call('HSET', share, 'v' .. string.sub(member, 1, 1), string.format(long, time)) end
      else
        redis.call('HSET', name, 'st', 'a', 'tk', token, 'am', attempt, 'pt', now)
        if stands and own == member then redis.call('ZADD', turns, string.format(long, member_at), own) end
      end
      if line then redis.pcall('ZREM', line, id) end
      redis.call('ZADD', active, lease, id)
      if rings then redis.call('LPUSH', bell, '1') end
      if args[5] ~= '' then
        redis.call('LPUSH', base .. K.ownbell .. args[5], '1')
        redis.call('PEXPIRE', base .. K.ownbell .. args[5], 'OWN_BELL_TTL_MS')
      end
      local waited = math.max(0, seconds * 1000000 + micros - since * 1000)
      local bucket = string.format('w%d', math.floor(4 * math.log(waited + 1) / 0.6931471805599453))
      local counts = { counters, bucket .. '|' .. job[1], 1, counters, 'wu', waited, counters .. ':' .. (org or ''), bucket, 1 }
      local fresh = false
      for at = 1, org and 7 or 4, 3 do
        local by = counts[at + 2] == 1 and '1' or string.format(long, counts[at + 2])
        local value = redis.pcall('HINCRBY', counts[at], counts[at + 1], by)
        if type(value) ~= 'number' then
          redis.pcall('HSET', counts[at], counts[at + 1], by)
          value = counts[at + 2]
        end
        fresh = value == counts[at + 2] or (fresh and at == 4)
        if fresh and at > 1 then redis.call('EXPIRE', counts[at], at == 4 and 'RAW_TTL' or 'ORG_MINUTE_TTL') end
      end
      local words, many = '\n', 0
      taken = id
      if org then
        redis.pcall('ZADD', base .. K.org .. K.active .. ':' .. org, lease, id)
        words, many, taken = '\no' .. org .. '\n', 1, id .. '\t' .. org
      end
      if job[7] then words, many = words .. 'u' .. job[7] .. '\n', many + 1 end
      if job[12] and job[12] ~= '' then words, many = words .. 'x\n', many + 1 end
      if job[13] then words, many = words .. 's' .. job[13] .. '\n', many + 1 end
      payload, many = payload or '', string.sub('01234567', many + 1, many + 1)
      large = #payload > 512
      reply = string.format('%s %s%d\n', ends and 'c' or '', many, large and 0 or #payload) .. id .. words .. many .. job[2]
        .. '\n' .. job[1] .. '\n' .. (job[3] or '') .. '\n' .. (job[4] or '') .. '\n' .. (job[5] or '') .. '\n'
        .. (job[11] or '') .. '\n' .. (job[10] or '') .. (large and '' or payload)
    end
    local feed = base .. K.events
    if left and taken then
      redis.call('XADD', feed, 'MAXLEN', '~', 'EVENTS_KEPT', '*', 'completed', left, 'active', taken)
    else
      redis.call('XADD', feed, 'MAXLEN', '~', 'EVENTS_KEPT', '*', left and 'completed' or 'active', left or taken)
    end
    return large and { reply, payload } or reply or 'c'
  end
end

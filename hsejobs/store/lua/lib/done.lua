-- What `complete` does most often besides claiming: one job has ended, and nothing else is to be done, or waits. As
-- lib/one: without functions, by the rules of the rest, and only if there is nothing special about the job or the queue.
if #ARGV == 9 and ARGV[4] == '0' and string.find(ARGV[8], '^[1-9]%d*$') and #ARGV[8] < 11 then
  local base, id, result = KEYS[1], ARGV[6], ARGV[9]
  local name = base .. K.job .. id
  local there = ARGV[1] == '0' and 0 or redis.call('EXISTS', base .. K.waiting, base .. K.paused, base .. K.delayed,
    base .. K.revoked, base .. K.resent .. ARGV[2])
  local job = there == 0 and redis.pcall('HMGET', name, 'st', 'tk', 'o', 'n', 'cl', 'cp', 'lk', 'ev', 'ky')
  local rules = job and redis.pcall('HMGET', base .. K.share, 'l', 'p')
  if job and job[1] == 'a' and job[2] == ARGV[7] and job[4] and not (job[5] or job[6] or job[7] or job[8] or job[9])
    and not (rules.err or rules[1] or rules[2]) and RIGHTS then
    -- The first write must need no memory.
    redis.call('ZREM', base .. K.active, id)
    local clock = redis.call('TIME')
    local org, us = job[3], tonumber(ARGV[8])
    local seconds, micros = clock[1], string.sub('00000' .. clock[2], -6)
    local now, score = seconds .. string.sub(micros, 1, 3), seconds .. micros
    local long = string.format('%d', 9007199254740992) == '9007199254740992' and '%d' or '%.0f'
    local started = string.format(long, math.floor((seconds * 1000000 + micros - us) / 1000))
    if #result > 64 then
      redis.call('SET', base .. K.result .. id, result)
      redis.call('HSET', name, 'st', 'c', 'pt', started, 'ft', now)
    elseif result == 'null' then
      redis.call('HSET', name, 'st', 'c', 'pt', started, 'ft', now)
    else
      redis.call('HSET', name, 'st', 'c', 'pt', started, 'ft', now, 'r', result)
    end
    redis.call('ZADD', base .. K.completed, score, id)
    if org then
      redis.call('ZREM', base .. K.org .. K.active .. ':' .. org, id)
      redis.call('ZADD', base .. K.org .. K.completed .. ':' .. org, score, id)
    end
    local minute = math.floor(seconds / 60)
    local bucket = string.format('r%d', math.floor(4 * math.log(us + 1) / 0.6931471805599453))
    local counters, ttl, fields = base .. K.minute .. minute, 'RAW_TTL', { 'c', 'us', bucket .. '|' .. job[4] }
    for i = 1, org and 2 or 1 do
      local fresh = false
      for at = 1, 3 do
        local by = at == 2 and ARGV[8] or '1'
        local value = redis.pcall('HINCRBY', counters, fields[at], by)
        if type(value) ~= 'number' then
          redis.call('HSET', counters, fields[at], by)
          value = tonumber(by)
        end
        if value == (at == 2 and us or 1) then fresh = true end
      end
      if fresh then
        redis.call('EXPIRE', counters, ttl)
        if i == 2 then redis.call('ZADD', base .. K.orgs, minute, org) end
      end
      if org then counters, ttl, fields[3] = counters .. ':' .. org, 'ORG_MINUTE_TTL', bucket end
    end
    if org then id = id .. '\t' .. org end
    redis.call('XADD', base .. K.events, 'MAXLEN', '~', 'EVENTS_KEPT', '*', 'completed', id)
    return { 'c', {} }
  end
end

-- What most calls of `add` do: add one job that is new, to be run at once, without extras, a quota or a family, in a
-- queue that needs nothing else. There are no functions here, because to create those of the libraries takes Redis as
-- long as the commands. The rules are those of lib/add, and a test compares the two. In all other cases nothing is
-- written, and the rest of the script adds the job, or says which right is missing.
local args = ARGV
if #args == 17 and args[3] == '0' and args[7] == '' and args[8] == '0' and args[14] == '' then
  local base, org, id = KEYS[1], args[9], args[15]
  local name, bell, paused = base .. K.job .. id, base .. K.bell, base .. K.paused
  -- 1 is a pending signal; the job or a value of `paused` is 2 or more.
  local there = redis.call('EXISTS', name, name, bell, paused, paused)
  local rules = redis.pcall('HMGET', base .. K.share, 'f', 'on', 'p', 'v' .. args[2])
  local turns, time = rules[2], tonumber(rules[4] or '0')
  if there < 2 and not rules.err and string.find(args[2], '^[1-5]$')
    and (turns and rules[1] ~= '0' and not rules[3] and time and time >= 0 and time < PRIORITY_SPAN - 1
      or not turns and org == '') and RIGHTS then
    local number = redis.pcall('INCRBY', base .. K.seq, '1')
    if type(number) == 'number' and number < PRIORITY_SPAN then
      local clock = redis.call('TIME')
      local lowest = tonumber(args[2]) * PRIORITY_SPAN
      -- Parts of text, because Redis takes longest to write a number.
      local now = clock[1] .. string.sub('00000' .. clock[2], -6, -4)
      local long = string.format('%d', 9007199254740992) == '9007199254740992' and '%d' or '%.0f'
      local place = string.format(long, lowest + number)
      local fields = {
        'st', 'w', 'sc', place, 'n', args[1], 'p', args[2], 'ct', now, 'am', '0',
        'ax', args[4], 'bo', args[5], 'to', args[6],
      }
      local at = #fields
      if org ~= '' then fields[at + 1], fields[at + 2], at = 'o', org, at + 2 end
      if args[10] ~= '' then fields[at + 1], fields[at + 2], at = 'u', args[10], at + 2 end
      if args[11] ~= '' then fields[at + 1], fields[at + 2], at = 'sg', args[11], at + 2 end
      if args[12] ~= '' then fields[at + 1], fields[at + 2], at = 'ro', args[12], at + 2 end
      if args[13] ~= '' then fields[at + 1], fields[at + 2], at = 'ky', args[13], at + 2 end
      if args[16] ~= '' then fields[at + 1], fields[at + 2], at = 'nx', args[16], at + 2 end
      redis.call('SET', base .. K.payload .. id, args[17])
      redis.call('HSET', name, unpack(fields, 1, at))
      if turns then
        local member = args[2] .. org
        local score = lowest + math.floor(time + 0.5)
        if redis.call('ZADD', base .. K.turns, 'NX', string.format(long, score), member) == 1 then
          local rested = redis.call('ZSCORE', base .. K.rested, member)
          if rested and tonumber(rested) > score then redis.call('ZADD', base .. K.turns, rested, member) end
        end
      end
      redis.call('ZADD', base .. K.waiting, place, id)
      if org ~= '' then
        redis.call('ZADD', base .. K.org .. K.waiting .. ':' .. org, place, id)
      elseif turns then
        redis.call('ZADD', base .. K.unowned, place, id)
      end
      if there == 0 then redis.call('LPUSH', bell, '1') end
      local minute = math.floor(clock[1] / 60)
      local counters, field, ttl = base .. K.minute .. minute, 'ad|' .. args[1], 'RAW_TTL'
      for i = 1, org == '' and 1 or 2 do
        local added = redis.pcall('HINCRBY', counters, field, '1')
        if type(added) ~= 'number' then
          redis.pcall('HSET', counters, field, '1')
          added = 1
        end
        if added == 1 then
          redis.call('EXPIRE', counters, ttl)
          if i == 2 then redis.call('ZADD', base .. K.orgs, minute, org) end
        end
        counters, field, ttl = counters .. ':' .. org, 'ad', 'ORG_MINUTE_TTL'
      end
      if org ~= '' then id = id .. '\t' .. org end
      redis.call('XADD', base .. K.events, 'MAXLEN', '~', 'EVENTS_KEPT', '*', 'waiting', id)
      return '1w'
    end
  end
end

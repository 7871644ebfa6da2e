-- The start of every script: the queue's base, Redis time, number formatting, counters, events.
local base = KEYS[1]
local clock = redis.call('TIME')
local now_us = clock[1] * 1000000 + clock[2]
local now_ms = math.floor(now_us / 1000)

-- Scores and times exceed 2^31: Lua's own formatting would round them.
-- `%d` takes a fifth of the time, but has 32 bits in some builds, and is wrong for what no long can hold.
local format = string.format
local LONG = format('%d', 9007199254740992) == '9007199254740992' and '%d' or '%.0f'
local function int(number)
  number = number + 0
  return format(number % 1 == 0 and number < 9e15 and number > -9e15 and LONG or '%.0f', number)
end
local NOW = int(now_ms)

-- A finite integer from a record or an argument; `otherwise` for everything else. No value that a
-- script reads is trusted: an error after its first write would leave a job without a state.
local function whole(value, otherwise)
  local number = tonumber(value)
  if not number or number ~= number or number == math.huge or number == -math.huge then return otherwise end
  return math.floor(number)
end

local function within(value, least, most, otherwise)
  local number = tonumber(value)
  -- Nearly always.
  if number and number >= least and number <= most and number % 1 == 0 then return number end
  return math.max(least, math.min(most, whole(value, otherwise)))
end

-- The longest run time that is counted, in us.
local LONGEST_RUN = LONGEST_MS * 1000

-- Call it before the first write that a full server must accept: it refuses a script's first write
-- if that needs memory, but no write after one that needs none.
local begun, begins = false, 0
local function begin()
  if not begun then redis.call('ZREM', base, '') end
  begun, begins = true, begins + 1
end

-- Fields of a record; all nil for a key that is not a hash.
local function read(key, ...)
  local found = redis.pcall('HMGET', key, ...)
  return found.err and {} or found
end

-- Whether a record exists; `state` is its letter. A record without a state is broken, not missing.
local function is_there(key, job, state)
  return state or (#job > 0 and redis.call('EXISTS', key) == 1)
end

local STATE = { w = K.waiting, a = K.active, d = K.delayed, c = K.completed, f = K.failed }

-- A record without a state counts as failed, so that a person decides; see `State.of_letter` in Python.
local function state_of(letter)
  return STATE[letter] and letter or 'f'
end

local function index(state)
  return base .. STATE[state]
end

local function org_index(state, org)
  return base .. K.org .. STATE[state] .. ':' .. org
end

-- lib/turns: gives the organization of a waiting job its turn.
local take_turns

local function put_in(state, org, score, id)
  if state == 'w' then take_turns(org, score, id) end
  redis.call('ZADD', index(state), score, id)
  if org then redis.call('ZADD', org_index(state, org), score, id) end
end

local function take_from(state, org, id)
  redis.call('ZREM', index(state), id)
  if org then
    redis.call('ZREM', org_index(state, org), id)
  elseif state == 'w' then
    redis.call('ZREM', base .. K.unowned, id)
  end
end

local function take_from_all(org, id)
  for letter in pairs(STATE) do take_from(letter, org, id) end
end

-- Adds to a counter; one that is not a number starts again at 0.
local function bump(key, field, by)
  local value = redis.pcall('HINCRBY', key, field, by)
  if type(value) == 'number' then return value end
  redis.pcall('HSET', key, field, by)
  return tonumber(by)
end

-- Counters of this minute. `pending` adds up within a call, so that a batch needs few commands.
local minute = math.floor(now_ms / 60000)
-- As text: Lua's own way to write a number takes Redis longest.
local MINUTE = int(minute)
local pending, pending_orgs, of_tasks = {}, {}, {}

-- `task`: the queue's counter is the task's own, `field|task`; `fold` adds those of a minute up.
local function count(field, org, by, task)
  local name = field
  if task then
    local names = of_tasks[task]
    if not names then
      names = {}
      of_tasks[task] = names
    end
    name = names[field]
    if not name then
      name = field .. '|' .. task
      names[field] = name
    end
  end
  pending[name] = (pending[name] or 0) + (by or 1)
  if org then
    local fields = pending_orgs[org]
    if not fields then
      fields = {}
      pending_orgs[org] = fields
    end
    fields[field] = (fields[field] or 0) + (by or 1)
  end
end

local function flush_into(key, fields, ttl)
  local fresh = false
  for field, by in pairs(fields) do
    by = math.floor(by + 0.5)
    -- As text, because Redis would write the number as a fraction.
    if bump(key, field, by == 1 and '1' or int(by)) == by then fresh = true end
  end
  if fresh then redis.call('EXPIRE', key, ttl) end
  return fresh
end

-- The list of the queue's organizations, scored by the minute in which each was seen last.
local function note_org(org)
  redis.call('ZADD', base .. K.orgs, minute, org)
end

-- The event feed: one entry per call; each field is a kind of event with `id<TAB>org` lines.
local happened, kinds = {}, {}

local function event(kind, id, org)
  local lines = happened[kind]
  if not lines then
    lines = {}
    happened[kind] = lines
    kinds[#kinds + 1] = kind
  end
  lines[#lines + 1] = org and (id .. '\t' .. org) or id
end

-- The value of `paused` with which a newer release holds back consumers of 0.1.0; see heartbeat.
local HELD = 'older'

local function is_paused()
  local value = redis.pcall('GET', base .. K.paused)
  return value and value ~= HELD
end

-- Wakes one blocked worker, unless the queue is paused or a signal is pending already.
local function ring()
  local bell = base .. K.bell
  -- One command reads both: 2 is a pending signal, 1 a value of `paused`.
  local found = redis.call('EXISTS', bell, bell, base .. K.paused)
  if found == 0 or (found == 1 and not is_paused()) then redis.call('LPUSH', bell, '1') end
end

-- Writes what `count` and `event` collected. Called once, at the end of a script that writes.
local function publish()
  flush_into(base .. K.minute .. MINUTE, pending, RAW_TTL)
  for org, fields in pairs(pending_orgs) do
    local fresh = flush_into(base .. K.minute .. MINUTE .. ':' .. org, fields, ORG_MINUTE_TTL)
    -- Only with the first add and the first ends of a minute, so that a busy organization costs nothing.
    if fresh and (fields.ad or fields.us or fields.ux or fields.f) then note_org(org) end
  end
  if #kinds > 0 then
    local entry = {}
    for _, kind in ipairs(kinds) do
      entry[#entry + 1] = kind
      entry[#entry + 1] = table.concat(happened[kind], '\n')
    end
    redis.call('XADD', base .. K.events, 'MAXLEN', '~', 'EVENTS_KEPT', '*', unpack(entry))
  end
end

-- Whose turn it is. A party is an organization, or '' for the jobs of none. A member of `turns` is a party with
-- waiting jobs of one priority, `<priority><organization>`; its score is the priority and its virtual time,
-- which grows by the running time of its jobs in us, divided by its weight (start-time fair queueing).
-- In a plain FIFO the score is the place of its first job. Entries of `turns` whose jobs have gone are
-- removed when their turn comes.

-- Adds a member to `turns` unless it is there or at a limit. One that comes, or comes back, does not get the
-- time that it did not use.
local function enter(party, place)
  local priority = priority_of(place)
  local member = int(priority) .. party
  if share()[FIFO] then
    local score = redis.call('ZSCORE', base .. K.turns, member)
    if score and tonumber(score) <= place then return end
  end
  if share()[PARKED] and redis.call('ZSCORE', base .. K.parked, member) then return end
  if share()[FIFO] then
    redis.call('ZADD', base .. K.turns, int(place), member)
    return
  end
  local score = score_at(priority, time_of(priority))
  if redis.call('ZADD', base .. K.turns, 'NX', int(score), member) == 0 then return end
  local rested = whole(redis.call('ZSCORE', base .. K.rested, member), 0)
  if rested > score then redis.call('ZADD', base .. K.turns, int(rested), member) end
end

-- Turns are used from the first job of an organization on. Waiting jobs added before that are noted in steps.
local function use_turns()
  set_share(ON, '1')
  if redis.call('ZCARD', base .. K.waiting) > 0 then
    set_share(OLD, int(whole(redis.pcall('GET', base .. K.seq), 0)))
    redis.call('HSET', base .. K.share, 'c', int(PRIORITY_SPAN))
  end
end

-- How many jobs of each party have ended in this call.
local just_ended = {}

local entered = {}
function take_turns(org, place, id)
  place = whole(place, 0)
  local priority = priority_of(place)
  share(priority)
  if org then
    if not share()[ON] then use_turns() end
  elseif share()[ON] then
    redis.call('ZADD', base .. K.unowned, int(place), id)
  else
    return
  end
  local member = int(priority) .. (org or '')
  if place >= BEHIND or (entered[member] and not share()[FIFO]) then return end
  entered[member] = true
  enter(org or '', place)
end

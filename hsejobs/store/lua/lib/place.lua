-- Places in the waiting list: priority first, then order of arrival.
-- Numbers are taken `together` at a time: a bulk add takes all its numbers at once, and those
-- that it does not use are skipped, which is harmless.
local together, numbered, number = 1, 0, 0

local function new_place(priority)
  if number == numbered then
    numbered = redis.pcall('INCRBY', base .. K.seq, together)
    if type(numbered) ~= 'number' or numbered >= PRIORITY_SPAN then
      -- The counter is broken. The ms since the epoch exceed the number of jobs of any queue.
      numbered = now_ms + together
      redis.call('SET', base .. K.seq, int(numbered))
    end
    number = numbered - together
  end
  number = number + 1
  return int(within(priority, 1, 5, DEFAULT_PRIORITY) * PRIORITY_SPAN + number)
end

-- The place in a record, or a new one if it has none.
local function place_of(place, priority)
  local known = whole(place, 0)
  if known >= PRIORITY_SPAN and known < 6 * PRIORITY_SPAN then return int(known) end
  return new_place(priority)
end

-- Moves a job from a state to the end of the waiting list.
local function to_waiting(id, state, org, priority, fields)
  local place = new_place(priority)
  take_from(state, org, id)
  redis.call('HSET', base .. K.job .. id, 'st', 'w', 'sc', place, unpack(fields))
  put_in('w', org, place, id)
end

-- Consumers that sleep until the next due job must learn of an earlier one.
local function announce_due(id, run_at)
  if redis.call('ZRANGE', base .. K.delayed, 0, 0)[1] == id then
    redis.pcall('PUBLISH', base .. K.timer, run_at)
  end
end

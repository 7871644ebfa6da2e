-- Places in the waiting list: priority first, then order of arrival.
local PRIORITY_SPAN = 1125899906842624  -- 2^50

-- Arrivals are numbered `together` at a time: a bulk add asks for all its numbers at once, and those
-- it does not use are left out, which nobody minds.
local together, numbered, number = 1, 0, 0

local function new_place(priority)
  if number == numbered then
    numbered = redis.call('INCRBY', base .. K.seq, together)
    number = numbered - together
  end
  number = number + 1
  return int(priority * PRIORITY_SPAN + number)
end

-- A job enters the waiting list at its end; `since` is when its wait began.
local function to_waiting(id, org, priority, fields)
  local place = new_place(priority)
  redis.call('HSET', base .. K.job .. id, 'st', 'w', 'sc', place, unpack(fields))
  put_in('w', org, place, id)
end

-- Whoever sleeps until the next due job must hear of an earlier one.
local function announce_due(id, run_at)
  if redis.call('ZRANGE', base .. K.delayed, 0, 0)[1] == id then
    redis.pcall('PUBLISH', base .. K.timer, run_at)
  end
end

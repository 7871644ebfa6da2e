-- Notes the parties of waiting jobs that were added without turns.

-- Notes up to `limit` waiting jobs from a place on, which releases without turns may have added.
-- Returns the place to continue from, nil at the end.
local function note_waiting(from, to, limit)
  local found = redis.call('ZRANGEBYSCORE', base .. K.waiting, int(from), int(to), 'WITHSCORES', 'LIMIT', 0, limit)
  for i = 1, #found, 2 do
    local id, place = found[i], whole(found[i + 1], 0)
    local org = read(base .. K.job .. id, 'o')[1]
    redis.call('ZADD', line_of(org or ''), int(place), id)
    local member = priority_of(place) .. (org or '')
    if place < BEHIND and not entered[member] then
      entered[member] = true
      enter(org or '', place)
    end
  end
  if #found < 2 * limit then return nil end
  return whole(found[#found], 0) + 1
end

-- A step of noting the jobs that were added before turns were in use.
local function note_old(limit)
  if not share()[OLD] then return end
  local from, numbered = whole(redis.call('HGET', base .. K.share, 'c'), BEHIND), whole(share()[OLD], 0)
  while limit > 0 and from < BEHIND do
    local priority = priority_of(from)
    from = note_waiting(from, priority * PRIORITY_SPAN + numbered, limit)
    if from then limit = 0 else from = (priority + 1) * PRIORITY_SPAN end
  end
  if from < BEHIND then
    redis.call('HSET', base .. K.share, 'c', int(from))
  else
    unset_share(OLD)
    redis.call('HDEL', base .. K.share, 'c')
  end
end

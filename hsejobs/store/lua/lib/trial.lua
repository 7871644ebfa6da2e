-- Which jobs the next claims take, found by the rules of lib/claim and lib/picks and without writing.
-- The most free workers, and the most jobs of full keys, that are looked at.
local MOST_TRIED, MOST_PASSED = 64, 200

-- Whether the key of a job has room for one more, after `began` of them in this trial.
local function has_room(task, key, began)
  local rule = key_rule(task)
  local name = rule.task .. ':' .. key
  if rule.limit and key_holders(name, rule.limit) + began >= rule.limit then return false end
  return not (rule.starts and (began >= rule.starts or key_opens(name, rule, began)))
end

-- How many jobs `n` free workers take, if there are any and this job is not one of them; nil otherwise, or if that is
-- not known.
local function overtaken(id, n)
  local limited = share()[TENANT] or share()[OVERRIDES]
  if n < 1 or n > MOST_TRIED or not share()[ON] or (share()[FIFO] and not limited) then return nil end
  local found = redis.call('ZRANGE', base .. K.turns, 0, n + MOST_PASSED, 'WITHSCORES')
  -- The jobs of one party alone are read in their order.
  if #found == 0 or (#found == 2 and not limited) then return nil end
  -- What a claim writes, this one keeps in mind.
  park = function() share()[PARKED] = '1' end
  local known = true
  write_turns = function() members, heap, size, known = {}, {}, 0, false end
  -- Each worker claims for itself: of those with the same time, the first by name has its turn. A sorted list is a
  -- heap.
  local function sort()
    table.sort(heap, function(a, b) return a.score < b.score or (a.score == b.score and a.member < b.member) end)
  end
  drop_first = function()
    table.remove(heap, 1)
    size = size - 1
    sort()
  end
  load_turns(1, found)
  if #found <= 2 * (n + MOST_PASSED) then horizon = INFINITE end
  load_turns = function() end
  local taken, passed, began = 0, 0, {}
  while taken < n and passed < MOST_PASSED do
    sort()
    local one_id, one = pick(1)
    if not one_id then break end
    local job = read(base .. K.job .. one_id, 'st', 'n', 'ky')
    local name = job[3] and key_rule(job[2] or '').task .. ':' .. job[3]
    local held = share()[TASKS] and held_task(job[2] or '')
    if job[1] ~= 'w' or held or (name and not has_room(job[2] or '', job[3], began[name] or 0)) then
      if one_id == id then break end
      passed = passed + 1
      skip(one)
      -- A claim takes it out of the line.
      kept[one.member] = (kept[one.member] or 0) + 1
    else
      if one_id == id then return nil end
      taken = taken + 1
      if name then began[name] = (began[name] or 0) + 1 end
      take(one, job[2])
    end
  end
  return known and taken > 0 and passed < MOST_PASSED and taken or nil
end

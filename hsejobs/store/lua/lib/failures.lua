-- Counts jobs that failed permanently, by task and by code.
local function count_failed(org, task, code)
  count('f', org)
  count('ft', nil, 1, task)
  count('fc:' .. code)
end

-- Counts a failure ('f') or a retry ('r') of an error's group. Groups above the limit count as one.
local function count_group(kind, code, group)
  local key = base .. K.errorminute .. minute
  local field = kind .. code .. ' ' .. group
  -- The field without a name counts the others.
  local known = read(key, field, '')
  if not known[1] then
    if whole(known[2], 0) >= GROUPS_COUNTED then field = kind end
    bump(key, '', 1)
  end
  bump(key, field, 1)
  if not known[1] then redis.call('EXPIRE', key, RAW_TTL) end
end

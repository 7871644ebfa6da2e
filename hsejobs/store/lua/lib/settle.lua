-- An entry in a state's index whose record has another state: the record is correct. Adds the job to the index of
-- its own state if missing, and removes it from all others. Returns whether that was the case.
local function settle(id, found_in, letter, org, priority)
  if letter == found_in or not STATE[letter] then return false end
  if not redis.call('ZSCORE', index(letter), id) then
    local score = NOW
    if letter == 'w' then
      score = new_place(priority)
    elseif letter == 'c' or letter == 'f' then
      score = int(now_us)
    end
    -- An active job is added with an expired lease: the next sweep stalls it.
    put_in(letter, org, score, id)
  end
  for other in pairs(STATE) do
    if other ~= letter then
      take_from(other, nil, id)
      -- A broken list of one organization is left as it is.
      if org then redis.pcall('ZREM', org_index(other, org), id) end
    end
  end
  return true
end

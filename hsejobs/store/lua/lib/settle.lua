-- An entry in a state's index whose record has another state: the record is correct. Removes the entry, and
-- adds the job to the index of its own state if missing. Returns whether that was the case.
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
  take_from(found_in, org, id)
  -- A third one may have it as well. A broken list of an organization is left as it is.
  for other in pairs(STATE) do
    if other ~= letter and other ~= found_in then
      take_from(other, nil, id)
      if org then redis.pcall('ZREM', org_index(other, org), id) end
    end
  end
  return true
end

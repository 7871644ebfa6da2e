-- An entry of a state's index whose record tells another state: the record is right. The entry goes, and
-- the job enters the index of its own state if it is not there. Returns whether it was so.
local function settle(id, found_in, letter, org, priority)
  if letter == found_in or not STATE[letter] then return false end
  if not redis.call('ZSCORE', index(letter), id) then
    local score = NOW
    if letter == 'w' then
      score = new_place(priority)
    elseif letter == 'c' or letter == 'f' then
      score = int(now_us)
    end
    -- An active job enters with a lease that has ended: the next sweep takes it up.
    put_in(letter, org, score, id)
  end
  take_from(found_in, org, id)
  return true
end

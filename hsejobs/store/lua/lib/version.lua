-- The version of a job: its state and its score there, without the score if active: leases are renewed.
local function version(id, state)
  if state == 'a' or not STATE[state] then return state end
  local score = redis.call('ZSCORE', index(state), id) or ''
  -- A job that is parked has not left its state.
  if state == 'w' and whole(score, 0) >= 6 * PRIORITY_SPAN then score = read(base .. K.job .. id, 'sc')[1] or score end
  return state .. score
end

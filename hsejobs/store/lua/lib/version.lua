-- The version of a job: its state and its score there, without the score if active: leases are renewed.
local function version(id, state)
  if state == 'a' or not STATE[state] then return state end
  return state .. (redis.call('ZSCORE', index(state), id) or '')
end

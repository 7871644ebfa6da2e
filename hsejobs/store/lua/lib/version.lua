-- The version of a job: its state, and the score that it has there; an active one's is its lease, which moves.
local function version(id, state)
  if state == 'a' or not STATE[state] then return state end
  return state .. (redis.call('ZSCORE', index(state), id) or '')
end

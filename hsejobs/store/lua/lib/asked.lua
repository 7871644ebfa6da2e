-- Limits an action to the jobs that the user decided on: no later ones, and none that have moved since.

-- `seen` is the job's version that the user saw; '' matches any.
local function as_seen(id, state, seen)
  return seen == '' or version(id, state) == seen
end

-- Whether a job was already in its state at `moment` (Redis ms). `whole`: in the queue instead of
-- the state; `idle`: in waiting or delayed, between which jobs move by themselves.
local function here_at(id, state, moment, set)
  local at = read(base .. K.job .. id, 'ct', 'si', 're', 'ws')
  local function later(value) return whole(value, 0) > moment end
  if later(at[1]) or later(at[3]) then return false end
  if set == 'whole' then return true end
  if later(at[2]) then return false end
  return set == 'idle' or state ~= 'w' or not later(at[4])
end

-- The delay in ms after attempt number `made`: base x BACKOFF_FACTOR^(made-1), capped at
-- LONGEST_BACKOFF_MS; a base above that is used unchanged. Only this file has this rule.
local function backoff(base_ms, made)
  local delay = within(base_ms, 0, LONGEST_MS, 0)
  local longest = math.max(delay, LONGEST_BACKOFF_MS)
  -- Step by step: the power is infinite for a large `made`, and 0 times infinity is not a number.
  while made > 1 and delay > 0 and delay < longest do
    delay, made = delay * BACKOFF_FACTOR, made - 1
  end
  return math.min(delay, longest)
end

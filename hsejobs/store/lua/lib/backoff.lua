-- The delay in ms after try number `made`: base x BACKOFF_FACTOR^(made-1), which stops growing at
-- LONGEST_BACKOFF_MS; a base above that stays as it is. The one place of this rule.
local function backoff(base_ms, made)
  local delay = within(base_ms, 0, LONGEST_MS, 0)
  local longest = math.max(delay, LONGEST_BACKOFF_MS)
  -- Step by step: a power of a large `made` is infinite, and 0 times infinity is no number.
  while made > 1 and delay > 0 and delay < longest do
    delay, made = delay * BACKOFF_FACTOR, made - 1
  end
  return math.min(delay, longest)
end

-- totals: the queue's sums since it exists, with the minutes that are not in the history yet.
-- KEYS: 1 the queue's base
-- ARGV: most
--   most: of those minutes, the oldest first, so that no sum falls when they enter the history
-- returns: the flat hash
-- errors: none
-- read only
-- include: base totals
local sums, codes = {}, 0
local flat = redis.call('HGETALL', base .. K.totals)
for i = 1, #flat, 2 do
  if flat[i] == 'codes' then codes = whole(flat[i + 1], 0) else sums[flat[i]] = whole(flat[i + 1], 0) end
end
local function code_of(name)
  if sums[name] then return name end
  codes = codes + 1
  return codes > CODES_COUNTED and 'fc:other' or name
end
local most = within(ARGV[1], 1, 1000, 1)
local cursor = whole(read(base .. K.history, 'm')[1], minute - most)
for at = cursor + 1, math.min(minute, cursor + most) do
  local found = redis.pcall('HGETALL', base .. K.minute .. at)
  if not found.err then sum_minute(found, sums, code_of) end
end
local out = {}
for name, sum in pairs(sums) do out[#out + 1], out[#out + 2] = name, int(sum) end
return out

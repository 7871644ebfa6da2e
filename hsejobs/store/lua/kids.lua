-- kids: the jobs of this queue that a job added, in the order in which they were added.
-- KEYS: 1 the queue's base
-- ARGV: organization, parent, limit
--   organization '' for any; parent: <queue>/<id>; limit: at most 200
-- returns: {how many are listed, the records as lib/record returns them, without payloads}
-- errors: none
-- read only
-- include: base version record
local name = base .. K.kids .. ARGV[2]
local ids = soft('ZRANGE', name, 0, within(ARGV[3], 1, 200, 1) - 1) or {}
local out = { #ids > 0 and redis.call('ZCARD', name) or 0 }
for _, id in ipairs(ids) do
  if ARGV[1] == '' or read(base .. K.job .. id, 'o')[1] == ARGV[1] then out[#out + 1] = record(id, 0, 1) end
end
return out

-- stray: finds entries in the list of a job's children that do not belong there and, with `repair`, removes them.
-- KEYS: 1 the queue's base
-- ARGV: repair, parent; each: id
--   parent: <queue>/<id>
-- returns: for each id 1 if it has no record, or one with another parent, else 0
-- errors: none
-- include: base family
local out = {}
for a = 3, #ARGV do
  local family = read(base .. K.job .. ARGV[a], 'fa')[1]
  local stray = not family or list_of(family) ~= base .. K.kids .. ARGV[2]
  if stray and ARGV[1] == '1' then leave_family(ARGV[a], ARGV[2]) end
  out[a - 2] = stray and 1 or 0
end
return out

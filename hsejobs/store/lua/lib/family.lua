-- The children of a job, which `kids:<queue>/<id>` lists in the queue of each child, by when they were added. A
-- job's field `fa` names its parent and, after a space, the first job of the family if that is another one. A
-- mark `~` before a name: that job has no organization, and the job itself has one.
local function list_of(family)
  return base .. K.kids .. (string.match(family, '^~?(%S+)') or '')
end

local function join_family(id, family)
  local name = list_of(family)
  local known = redis.pcall('ZCARD', name)
  if type(known) == 'number' and known < KIDS_KEPT then redis.call('ZADD', name, NOW, id) end
end

local function leave_family(id, family)
  redis.pcall('ZREM', list_of(family), id)
end

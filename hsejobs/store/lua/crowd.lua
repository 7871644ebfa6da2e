-- crowd: of whom the waiting jobs of a queue are: which organization has most of those at some places of the line, and
-- which organizations are held, of some of them.
-- KEYS: 1 the queue's base
-- ARGV: places, looked_at, cursor, limit, most; each: organization
--   looked_at: jobs at each place; cursor: 0 at first; limit: about how many organizations to go through, 0 for none
--   but those given; most: held ones that are returned; organization: one to look at before the others
-- returns: {waiting jobs, the organization or '', how many of them it has, ms since the longest waiting job of the held
--       tasks began to wait or -1, next cursor, 0 at the end, then for each held organization its name, how many of its
--       jobs wait, ms since the longest waiting of them began to wait or -1, "<since in ms> <who>" or ''}
-- errors: none
-- read only
-- include: base oldest
local line, looked_at, places = base .. K.waiting, within(ARGV[2], 1, 100, 20), within(ARGV[1], 0, 20, 5)
local waiting = redis.call('ZCARD', line)
local top, most, seen, jobs = '', 0, {}, {}
for place = 1, places do
  local at = math.floor(math.max(0, waiting - looked_at) * (place - 1) / math.max(1, places - 1))
  for _, id in ipairs(redis.call('ZRANGE', line, int(at), int(at + looked_at - 1))) do
    local org = not seen[id] and read(base .. K.job .. id, 'o')[1]
    seen[id] = true
    if org then
      jobs[org] = (jobs[org] or 0) + 1
      if jobs[org] > most then top, most = org, jobs[org] end
    end
  end
end
local aside, tasks = -1, redis.call('HGETALL', base .. K.tasks)
for i = 1, #tasks, 2 do
  if tasks[i + 1] ~= '' then aside = math.max(aside, oldest_in(base .. K.taskwaits .. tasks[i])) end
end
local found, known, left = {}, {}, within(ARGV[5], 0, 1000, 100)
local function look(orgs)
  local settings = #orgs > 0 and read(base .. K.tenants, unpack(orgs)) or {}
  for i, org in ipairs(orgs) do
    local by = left > 0 and not known[org] and string.match(settings[i] or '', '^%S+ %S+ 1 ?(.*)$')
    if by then
      known[org], left = true, left - 1
      local own = org_index('w', org)
      for _, value in ipairs({ org, redis.call('ZCARD', own), oldest_in(own), by }) do found[#found + 1] = value end
    end
  end
end
local given = {}
for a = 6, #ARGV do given[#given + 1] = ARGV[a] end
look(given)
local next_cursor, limit = '0', within(ARGV[4], 0, 1000, 0)
-- Without settings of its own, no organization is held.
if limit > 0 and redis.call('EXISTS', base .. K.tenants) == 1 then
  local scanned = redis.call('ZSCAN', base .. K.orgs, ARGV[3], 'COUNT', limit)
  local orgs = {}
  for i = 1, #scanned[2], 2 do orgs[#orgs + 1] = scanned[2][i] end
  look(orgs)
  next_cursor = scanned[1]
end
return { waiting, top, top ~= '' and redis.call('ZCARD', org_index('w', top)) or 0, aside, next_cursor, unpack(found) }

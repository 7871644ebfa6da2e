-- What the simulator looks at after each step: every job's record against all indexes, and what stands beside.
-- KEYS: 1 the queue's base
-- ARGV: how many workers wait for the doorbell
-- returns: {problems, 1 when a waiting worker took the bell, announced due time or '', a line a job}
local base, n = KEYS[1], #KEYS[1]
local STATES = { w = 'waiting', a = 'active', d = 'delayed', c = 'completed', f = 'failed' }
local BESIDE = { ['p:'] = true, ['x:'] = true, ['r:'] = true, ['e:'] = true, ['l:'] = true, ['k:'] = true }
local problems, rows, ids, orgs, beside, extra = {}, {}, {}, {}, {}, {}
local function wrong(text) problems[#problems + 1] = text end

for _, key in ipairs(redis.call('KEYS', base .. '*')) do
  local kind = string.sub(key, n + 1, n + 2)
  if kind == 'j:' then
    ids[#ids + 1] = string.sub(key, n + 3)
  elseif BESIDE[kind] then
    beside[#beside + 1] = key
  elseif kind == 'o:' then
    orgs[#orgs + 1] = key
  end
end

local places, total = {}, 0
for letter, name in pairs(STATES) do
  local flat, scores = redis.call('ZRANGE', base .. name, 0, -1, 'WITHSCORES'), {}
  for i = 1, #flat, 2 do scores[flat[i]] = flat[i + 1] end
  places[letter], total = scores, total + #flat / 2
end
if total ~= #ids then wrong(#ids .. ' records, but ' .. total .. ' entries in the indexes') end

for _, key in ipairs(beside) do
  local kind, id = string.sub(key, n + 1, n + 1), string.sub(key, n + 3)
  local one = extra[id]
  if not one then
    one = { p = false, e = 0, l = 0, k = 0 }
    extra[id] = one
  end
  if kind == 'p' then one.p = true
  elseif kind == 'e' or kind == 'l' then one[kind] = redis.call('LLEN', key)
  elseif kind == 'k' then one.k = redis.call('SCARD', key) end
end

local owner, state_of, owned = {}, {}, 0
for i, id in ipairs(ids) do
  local job = redis.call('HMGET', base .. 'j:' .. id, 'st', 'tk', 'o', 'am', 'ax', 'sl', 'ra', 'ec', 'lc', 'pg', 'cl')
  local state, one = job[1], extra[id]
  local score = state and places[state] and places[state][id]
  if not score then wrong(id .. ' is ' .. tostring(state) .. ' and not in that index') end
  if not (one and one.p) then wrong(id .. ' has no payload') end
  owner[id], state_of[id] = job[3] or '', state
  if job[3] then owned = owned + 1 end
  one = one or { e = 0, l = 0, k = 0 }
  extra[id] = nil
  rows[i] = table.concat({ id, state or '', job[2] or '', job[3] or '', job[4] or '', job[5] or '', job[6] or '0',
    job[7] or '', job[8] or '', job[9] or '0', job[10] or '', score or '', one.e, one.l, one.k, job[11] and 'cancelled' or '' }, '\t')
end
for id in pairs(extra) do wrong('something is left of ' .. id) end

for _, key in ipairs(orgs) do
  local name, org = string.match(string.sub(key, n + 3), '^(%a+):(.*)$')
  local letter, flat = string.sub(name, 1, 1), redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  for i = 1, #flat, 2 do
    local id = flat[i]
    owned = owned - 1
    if owner[id] ~= org or state_of[id] ~= letter or places[letter][id] ~= flat[i + 1] then
      wrong(id .. ' is wrong in ' .. name .. ' of ' .. org)
    end
  end
end
if owned ~= 0 then wrong('the organizations\' indexes lack ' .. owned .. ' entries') end

local rung = 0
if ARGV[1] ~= '0' and redis.call('LPOP', base .. 'bell') then rung = 1 end
local announced = redis.call('GETDEL', 'sim:announced') or ''
table.sort(problems)
return { table.concat(problems, '; '), rung, announced, table.concat(rows, '\n') }

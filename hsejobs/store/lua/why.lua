-- why: what decides when a job runs; `hsejobs.control.why` names the cause.
-- KEYS: 1 the queue's base
-- ARGV: organization, id
--   organization '' for any
-- returns: {} for a job that is missing, another organization's or has ended; else {facts, parties}, both flat:
--   names and values, and for each party with jobs ahead {how many, the mean cost of each in us, limit or '',
--   running jobs, 1 if paused, waiting jobs, weight times 1000, 1 if its jobs have a better priority, jobs of that
--   priority, how many parties it stands for times 1000}
-- errors: none
-- read only
-- include: base share turns limits rate keyed costs locks held picks trial ahead
local id = ARGV[2]
local job = read(base .. K.job .. id, 'st', 'o', 'n', 'sc', 'ra', 'am', 'pf', 'ec', 'lk', 'cl', 'aa', 'wy', 'ky', 'p')
local state, org = job[1], job[2]
if (ARGV[1] ~= '' and org ~= ARGV[1]) or not (state == 'w' or state == 'a' or state == 'd') then return {} end
local facts, parties, free = {}, {}, 0
local function tell(name, value)
  if value then facts[#facts + 1], facts[#facts + 2] = name, value end
end

-- When a rate lets the next one begin, ms; nil: now.
local function opens_at(name, most, window_ms)
  local at = most and most > 0 and whole(redis.call('LRANGE', name, most - 1, most - 1)[1])
  local opens = at and math.ceil(at / 1000 + window_ms)
  return opens and opens > now_ms and int(opens) or nil
end

-- The living consumers: how many, the workers of those that claim jobs, whether none does, and whether one of the first
-- CONSUMERS_READ has the task.
local CONSUMERS_READ = 50
local function tell_consumers()
  local names = redis.call('ZRANGE', base .. K.workers, 0, 999)
  local alive, workers, quiet, knows = 0, 0, 0, #names > CONSUMERS_READ
  for i, name in ipairs(names) do
    local text = i <= CONSUMERS_READ and redis.call('GET', base .. K.worker .. name)
    local ok, one = pcall(cjson.decode, text or '')
    if text and ok and type(one) == 'table' then
      alive = alive + 1
      if type(one.state) == 'string' and one.state ~= 'running' then
        quiet = quiet + 1
      else
        workers = workers + math.max(0, whole(one.concurrency, 1) - whole(one.hung, 0))
      end
      -- Consumers of 0.1.0 do not name their tasks.
      if type(one.tasks) ~= 'table' then knows = true end
      for _, task in ipairs(type(one.tasks) == 'table' and one.tasks or {}) do knows = knows or task == job[3] end
    elseif i > CONSUMERS_READ then
      alive, workers = alive + 1, workers * (1 + 1 / alive)
    end
  end
  tell('consumers', alive)
  tell('workers', int(workers))
  free = int(workers)
  tell('quiet', quiet > 0 and quiet == alive and 1 or 0)
  tell('knows', knows and 1 or 0)
end

local function tell_limits(score)
  tell('running', redis.call('ZCARD', base .. K.active))
  tell('limit', share()[LIMIT])
  local most, window = string.match(share()[RATE] or '', '^(%d+) (%d+)$')
  if most then
    tell('rate', share()[RATE])
    tell('rate_opens', opens_at(base .. K.starts, tonumber(most), tonumber(window)))
  end
  if org then
    local _, limit, paused, by = rule_of(org)
    tell('tenant_paused', paused and 1 or 0)
    tell('tenant_held', by)
    tell('tenant_limit', limit)
    tell('tenant_running', redis.call('ZCARD', org_index('a', org)))
  end
  if job[13] then
    local rule = key_rule(job[3] or '')
    local name = rule.task .. ':' .. job[13]
    local waits = base .. K.keywaits .. name
    tell('key_limit', rule.limit)
    tell('key_running', rule.limit and key_holders(name, rule.limit))
    tell('key_opens', opens_at(base .. K.keystarts .. name, rule.starts, rule.ms))
    tell('key_place', redis.call('ZRANK', waits, id))
    if score < BEHIND and score > 0 then
      -- Where the claim that finds no room for it would park it.
      tell('key_line', redis.call('ZCOUNT', waits, '-inf', '(' .. place_in_line(name, id, org, int(score))))
    end
  end
end

for i, name in ipairs({ 'state', 'organization', 'task', 'place', 'due', 'attempts', 'postponed', 'code', 'locks', 'cancel',
  'alone', 'reason', 'key' }) do
  tell(name, job[i])
end
tell('now', NOW)
if state == 'a' then
  tell('lease', redis.call('ZSCORE', base .. K.active, id))
  return { facts, parties }
end
tell('paused', is_paused() and 1 or 0)
local aside = share()[TASKS] and held_task(job[3] or '')
if aside and aside.held then tell('task_held', aside.by) end
tell_consumers()
if state == 'd' then
  local lock = locks_of(job[9])[1]
  local holder = lock and redis.call('GET', base .. K.value .. lock)
  if lock then
    tell('lock', lock)
    tell('lock_place', redis.call('ZRANK', base .. K.waiters .. lock, id))
    tell('holder', holder and string.match(holder, '^(%S+) %S+$'))
  elseif whole(job[5], 0) <= now_ms then
    tell_limits(0)
  end
  return { facts, parties }
end
local score = whole(redis.call('ZSCORE', base .. K.waiting, id), 0)
tell_limits(score)
if score < BEHIND and score > 0 then
  local own, better, mean
  own, better, parties, mean = jobs_ahead(id, org or '', score)
  tell('own', own)
  if mean then
    tell('own_cost', int(math.max(1, mean)))
    tell('own_waiting', redis.call('ZCARD', line_of(org or '')))
    tell('own_weight', int(1000 * rule_of(org or '')))
  end
  tell('better', better)
  tell('waiting', redis.call('ZCOUNT', base .. K.waiting, '-inf', '(' .. int(BEHIND)))
  if own == 0 then
    local most = math.min(whole(free, 0), whole(share()[LIMIT], math.huge))
    tell('overtaken', overtaken(id, most - redis.call('ZCARD', base .. K.active)))
  end
end
return { facts, parties }

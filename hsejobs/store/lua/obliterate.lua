-- drain and obliterate: remove all jobs of whole states, at most `limit` jobs per call.
-- KEYS: 1 the queue's base
-- ARGV: states, force, limit, whole, asked, state, offset, entry
--   limit: at most 1000; states: letters in order; whole 1: the queue's own keys and counters too, if no job
--   is left; asked: Redis ms of the request, '' for now: later jobs stay; state and offset:
--   where to continue from, 1 and 0 at first; entry: lib/audit
-- returns: {removed, 1 when done, asked in ms, state and offset to continue from, how many
--       jobs the queue has left}, or {-1, active jobs} if jobs run and force is not set
-- errors: none
-- full server: runs
-- include: base share turns noting? limits? place rate? keyed? locks held? settle? family? delete version asked audit?
handing = false
local states, limit, everything = ARGV[1], whole(ARGV[3], 1), ARGV[4] == '1'
local asked, at, offset = whole(ARGV[5], now_ms), whole(ARGV[6], 1), whole(ARGV[7], 0)
if everything and ARGV[2] ~= '1' then
  local running = redis.call('ZCARD', base .. K.active)
  if running > 0 then
    record_act(ARGV[8], true)
    return { -1, running }
  end
end

-- Sweeps find the busiest organizations of a minute after its end, in a list that goes with the queue: those of the
-- minutes that the history has not taken yet are found now.
local function keep_for_history(taken)
  for at = math.max(taken + 1, minute - ORG_MINUTE_TTL / 60), minute do
    local found, key = {}, base .. K.busiest .. int(at)
    for _, org in ipairs(redis.call('ZREVRANGE', base .. K.orgs, 0, BUSIEST_COMPARED - 1)) do
      local of = redis.call('EXISTS', base .. K.minute .. int(at) .. ':' .. org) > 0
        and read(base .. K.minute .. int(at) .. ':' .. org, 'us', 'ux')
      if of then found[#found + 1] = { org, whole(of[1], 0) + whole(of[2], 0) } end
    end
    table.sort(found, function(one, other) return one[2] > other[2] end)
    for i = 1, math.min(#found, BUSIEST_KEPT) do redis.call('HSETNX', key, found[i][1], int(found[i][2])) end
    if #found > 0 then redis.call('EXPIRE', key, MINUTE_TTL) end
  end
end

local removed, looked, orgs = 0, 0, {}
while at <= #states and looked < limit do
  local state = string.sub(states, at, at)
  -- From the end: workers claim from the front, and positions would shift.
  local ids = redis.call('ZREVRANGE', index(state), offset, offset + limit - looked - 1)
  local left = 0
  for _, id in ipairs(ids) do
    local key = base .. K.job .. id
    local job = read(key, 'st', 'o', 'p')
    if not is_there(key, job, job[1]) then
      redis.call('ZREM', index(state), id)
    -- A job in the wrong index is removed only with its own state.
    elseif everything or not settle(id, state, job[1], job[2], job[3]) then
      if here_at(id, state, asked, everything and 'whole' or 'idle') then
        if job[1] ~= state then take_from(state, job[2], id) end
        delete_job(id, STATE[job[1]] and job[1], job[2])
        note_act(id, job[2])
        removed = removed + 1
        if job[2] then orgs[job[2]] = true end
      else
        left = left + 1
      end
    end
  end
  looked, offset = looked + #ids, offset + left
  if looked < limit then at, offset = at + 1, 0 end
end
publish()
record_act(ARGV[8], true)
local left = 0
for _, name in pairs(STATE) do left = left + redis.call('ZCARD', base .. name) end
local ended = at > #states
if everything then
  -- The counters of tenants are removed with their last jobs, except those of minutes that the history has not
  -- taken yet; they expire within 15 minutes.
  local taken = whole(read(base .. K.history, 'm')[1], -1)
  for org in pairs(orgs) do
    for at = minute - ORG_MINUTE_TTL / 60, math.min(taken, minute) do
      redis.call('UNLINK', base .. K.minute .. int(at) .. ':' .. org)
    end
  end
  -- A queue to which jobs were added meanwhile keeps its pause and its order.
  if ended and left == 0 then
    -- So does one that was paused meanwhile: that was not asked about.
    if whole(redis.pcall('GET', base .. K.paused), 0) <= asked then redis.call('UNLINK', base .. K.paused) end
    keep_for_history(taken)
    redis.call('UNLINK', base .. K.seq, base .. K.bell, base .. K.events,
      base .. K.revoked, base .. K.ended, base .. K.cancels, base .. K.sentback, base .. K.slots, base .. K.lastruns, base .. K.lastends,
      base .. K.unowned, base .. K.turns, base .. K.rested, base .. K.parked, base .. K.keyparked, base .. K.starts,
      base .. K.orgs, base .. K.orgswalk, base .. K.tenants, base .. K.lastseen, base .. K.starting)
    local held = redis.call('HGETALL', base .. K.tasks)
    for i = 1, #held, 2 do redis.call('UNLINK', base .. K.taskwaits .. held[i]) end
    redis.call('UNLINK', base .. K.tasks)
    redis.call('HDEL', base .. K.share, 'x', 'h')
    -- What was counted stays: it is the history of the queue, and no sum may fall. Its tenants begin again.
    redis.call('HSET', base .. K.history, 'o', int(minute))
    for at = minute - MINUTE_TTL / 60, math.min(taken, minute) do redis.call('UNLINK', base .. K.busiest .. int(at)) end
  end
end
return { removed, ended and 1 or 0, asked, at, offset, left }

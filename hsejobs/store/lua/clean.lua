-- clean: removes jobs of one state older than `grace_ms`, at most `limit` per call.
-- The age of finished jobs counts from their end, that of others from when they were added.
-- KEYS: 1 the queue's base
-- ARGV: state, organization, grace_ms, asked, limit, offset, count_only, spare, entry; each: id, seen
--   limit: at most 1000; organization '' for all; asked: Redis ms of the request, '' for now: ages
--   are as of that time, and jobs that entered the state later stay; spare 1: jobs whose file has not
--   expired stay; count_only 2: lists the jobs instead; entry: lib/audit; with ids, only these jobs are looked
--   at, and of them only those that still have the version (lib/asked) that was seen
-- returns: {removed (or found), offset to continue from, 1 at the end, asked in ms, and if listed for each job its
--       id and version}
-- errors: none
-- full server: runs by itself
-- include: base share turns noting? limits? place rate? keyed? locks? held? settle? family? delete version asked audit?
local state, only, counting, listing = ARGV[1], ARGV[2], ARGV[7] ~= '0', ARGV[7] == '2'
-- Counting writes nothing.
if not counting then begin() end
local asked = whole(ARGV[4], now_ms)
local before, limit, offset = asked - whole(ARGV[3], 0), whole(ARGV[5], 1), whole(ARGV[6], 0)
local name = only == '' and index(state) or org_index(state, only)
local finished = state == 'c' or state == 'f'
local ids, seen, given, listed = {}, {}, #ARGV > 9, {}
if given then
  for a = 10, #ARGV, 2 do
    ids[#ids + 1] = ARGV[a]
    seen[ARGV[a]] = ARGV[a + 1]
  end
elseif finished then
  local newest = int(before * 1000 + 999)
  if counting and not listing then return { redis.call('ZCOUNT', name, '-inf', newest), 0, 1, asked } end
  ids = redis.call('ZRANGEBYSCORE', name, '-inf', newest, 'LIMIT', offset, limit)
else
  ids = redis.call('ZRANGE', name, offset, offset + limit - 1)
end
local removed, dropped = 0, 0
for _, id in ipairs(ids) do
  local key = base .. K.job .. id
  local job = read(key, 'st', 'o', 'ct', 'p', 'ae')
  local spared = ARGV[8] == '1' and whole(job[5], 0) > now_ms
  -- A job without the time when it was added does not count as old.
  local old = not spared and (finished or whole(job[3], now_ms) <= before) and here_at(id, state, asked)
  if given then
    old = old and job[1] == state and (only == '' or job[2] == only) and as_seen(id, state, seen[id])
  end
  if counting then
    if old and job[1] == state then
      removed = removed + 1
      if listing then listed[removed] = { id, version(id, state) } end
    end
  elseif given and not old then
    dropped = dropped + 1
  elseif not is_there(key, job, job[1]) then
    take_from(state, only ~= '' and only or nil, id)
    dropped = dropped + 1
  elseif settle(id, state, job[1], job[2], job[4]) then
    if only ~= '' then redis.call('ZREM', name, id) end
    dropped = dropped + 1
  elseif old then
    delete_job(id, STATE[job[1]] and state, job[2])
    note_act(id, job[2])
    removed = removed + 1
  end
end
publish()
local kept = #ids - removed - dropped
if counting then kept = #ids else record_act(ARGV[9], true) end
local out = { removed, offset + kept, #ids < limit and 1 or 0, asked }
for _, one in ipairs(listed) do
  out[#out + 1] = one[1]
  out[#out + 1] = one[2]
end
return out

-- task_set: holds a task of a queue, or lets it go. Its jobs stay waiting while it is held.
-- KEYS: 1 the queue's base
-- ARGV: task, paused, seen, who, entry; each: other_name
--   task: its full name; paused 1 or 0; seen: since when it is held as the user saw it, in Redis ms, 0 for not at all,
--   '' for any; who: who acts; entry: lib/audit; other_name: a former or short name of the task
-- returns: 1 if that changed anything, else 0; -1 if it changed since it was seen
-- errors: none
-- full server: runs
-- include: base share turns noting? limits? place rate? keyed? locks held audit?
local task, on, key = ARGV[1], ARGV[2] == '1', base .. K.tasks
-- It was held under another name: that is its entry.
for a = 6, #ARGV do
  local name = ARGV[a]
  local entry = name ~= task and read(key, name)[1]
  if entry and read(key, task)[1] then
    redis.call('HSET', key, name, '')
  elseif entry then
    redis.call('HSET', key, task, entry)
    redis.call('HDEL', key, name)
    local line = base .. K.taskwaits .. name
    if redis.call('EXISTS', line) == 1 then redis.call('RENAME', line, base .. K.taskwaits .. task) end
  end
end
local before = read(key, task)[1] or ''
local since = string.match(before, '^(%d+) ') or '0'
if ARGV[3] ~= '' and ARGV[3] ~= since then
  record_act(ARGV[5], true, 0)
  return -1
end
local changed = on ~= (since ~= '0')
if changed and on then
  redis.call('HSET', key, task, NOW .. ' ' .. ARGV[4])
  set_share(TASKS, '1')
elseif changed then
  redis.call('HSET', key, task, '')
  set_back()
  if redis.call('ZCARD', base .. K.waiting) > 0 then ring() end
end
publish()
record_act(ARGV[5], true, changed and 1 or 0)
return changed and 1 or 0

-- pause and resume: while a queue is paused, its jobs stay waiting.
-- KEYS: 1 the queue's base
-- ARGV: pause, seen, entry
--   seen: to resume only the pause that began then, in Redis ms, '' for any; entry: lib/audit
-- returns: 1 if that changed anything, 0 if not, -1 if the queue was resumed and paused again since
-- errors: none
-- full server: runs
-- include: base audit?
local changed
local since = whole(redis.pcall('GET', base .. K.paused), 1)
if ARGV[1] == '1' then
  changed = is_paused() and 0 or 1
  if changed == 1 then redis.call('SET', base .. K.paused, int(now_ms)) end
  if changed == 1 then event('paused', '-') end
elseif ARGV[2] ~= '' and is_paused() and since ~= whole(ARGV[2], 0) then
  changed = -1
else
  changed = is_paused() and redis.call('DEL', base .. K.paused) or 0
  if changed == 1 then event('resumed', '-') end
  if redis.call('ZCARD', base .. K.waiting) > 0 then ring() end
end
publish()
record_act(ARGV[3], true, math.max(changed, 0))
return changed

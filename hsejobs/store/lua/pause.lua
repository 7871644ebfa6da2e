-- pause and resume: while a queue is paused, its jobs stay waiting.
-- KEYS: 1 the queue's base
-- ARGV: pause
-- returns: 1 if that changed anything, else 0
-- errors: none
-- full server: runs
-- include: base
local changed
if ARGV[1] == '1' then
  changed = is_paused() and 0 or 1
  if changed == 1 then redis.call('SET', base .. K.paused, int(now_ms)) end
  if changed == 1 then event('paused', '-') end
else
  changed = is_paused() and redis.call('DEL', base .. K.paused) or 0
  if changed == 1 then event('resumed', '-') end
  if redis.call('ZCARD', base .. K.waiting) > 0 then ring() end
end
publish()
return changed

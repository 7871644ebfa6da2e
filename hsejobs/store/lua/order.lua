-- order: asks living consumers to claim no more jobs, to claim jobs again, or to restart.
-- KEYS: 1 the queue's base
-- ARGV: order, ttl_ms, entry; each: worker
--   order: quiet, wake or restart, for the consumer's next heartbeat; ttl_ms: for how long it is kept;
--   entry: lib/audit
-- returns: for each worker 1 if it was asked, 0 if it is not alive, -1 if its release takes no orders
-- errors: none
-- full server: runs
-- include: base audit?
local out, asked, found = {}, 0, false
for a = 4, #ARGV do
  local text = redis.pcall('GET', base .. K.worker .. ARGV[a])
  local ok, one = pcall(cjson.decode, type(text) == 'string' and text or '')
  local reply = 0
  if ok and type(one) == 'table' then reply = type(one.state) == 'string' and 1 or -1 end
  if reply == 1 then
    redis.call('SET', base .. K.order .. ARGV[a], ARGV[1], 'PX', within(ARGV[2], 1, LONGEST_MS, 60000))
    asked = asked + 1
  end
  out[a - 3], found = reply, found or reply ~= 0
end
if asked > 0 then redis.pcall('PUBLISH', base .. K.timer, 'order') end
record_act(ARGV[3], found, asked)
return out

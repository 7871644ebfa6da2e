-- add, of a periodic task: once for each slot of its schedule, however many consumers ask.
-- KEYS: 1 the queue's base
-- ARGV: name, priority, delay_ms, attempts, backoff_ms, timeout_ms, extras, id, nonce, organization, user, signature, payload, role, schedule, slot
--   slot: minutes since the epoch
-- returns: what lib/add says, or "" when this slot or a later one was served already
-- errors: none
-- include: base place add
local slots, schedule, slot = base .. K.slots, ARGV[15], whole(ARGV[16], 0)
local last = whole(read(slots, schedule)[1], -1)
if last >= slot then return '' end
local out = add_job(8)
redis.call('HSET', slots, schedule, int(slot))
redis.call('HSET', base .. K.lastruns, schedule, ARGV[8])
ring()
publish()
return out

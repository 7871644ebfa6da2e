-- periodic: adds the job of a periodic task, once per slot of its schedule, for all consumers.
-- KEYS: 1 the queue's base
-- ARGV: name, priority, delay_ms, attempts, backoff_ms, timeout_ms, extras, tenant_backlog, organization, user, signature, role, key, family, id, nonce, payload, schedule, slot
--   slot: minutes since the epoch
-- returns: the reply of lib/add, or "" if the job of this slot or a later one was added before
-- errors: none
-- include: base share turns noting? limits? place family? add
local slots, schedule, slot = base .. K.slots, ARGV[18], whole(ARGV[19], 0)
local last = whole(read(slots, schedule)[1], -1)
if last >= slot then return '' end
local out = add_job(9, 15)
redis.call('HSET', slots, schedule, int(slot))
redis.call('HSET', base .. K.lastruns, schedule, ARGV[15])
ring()
count_added()
publish()
return out

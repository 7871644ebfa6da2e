-- probe: fails as an add would fail now, without adding anything.
-- KEYS: 1 the queue's base
-- ARGV: name, priority, delay_ms, attempts, backoff_ms, timeout_ms, extras, tenant_backlog
-- returns: 1
-- errors: none
-- include: base share turns noting? limits? place add
-- XX and a member that is not a valid job id: the command writes nothing, but is checked like a write.
redis.call('ZADD', base .. K.waiting, 'XX', 0, '')
return 1

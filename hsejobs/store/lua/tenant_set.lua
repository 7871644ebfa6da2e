-- tenant_set: sets an organization's weight, limit and pause in a queue. Its jobs stay waiting while it is paused.
-- KEYS: 1 the queue's base
-- ARGV: organization, weight, limit, paused, seen, entry
--   each '': unchanged; limit '-': none of its own; paused 1 or 0; seen: "<weight> <limit> <paused>" as the user saw
--   them, '' for any; entry: lib/audit
-- returns: 1 if that changed anything, else 0; -1 if they changed since they were seen
-- errors: none
-- full server: runs
-- include: base share turns noting? limits? audit?
local org, key = ARGV[1], base .. K.tenants
local before = read(key, org)[1] or ''
local weight, limit, paused = string.match(before, '^(%S+) (%S+) (%S+)$')
local function chosen(argument, current, default)
  return argument ~= '' and argument or current or default
end
local after = chosen(ARGV[2], weight, '1') .. ' ' .. chosen(ARGV[3], limit, '-') .. ' ' .. chosen(ARGV[4], paused, '0')
if after == '1 - 0' then after = '' end
if ARGV[5] ~= '' and ARGV[5] ~= (before == '' and '1 - 0' or before) then
  record_act(ARGV[6], true, 0)
  return -1
end
record_act(ARGV[6], true, after == before and 0 or 1)
if after == before then return 0 end
if after == '' then redis.call('HDEL', key, org) else redis.call('HSET', key, org, after) end
if redis.call('EXISTS', key) == 1 then
  set_share(OVERRIDES, '1')
else
  unset_share(OVERRIDES)
end
note_org(org)
unpark(org)
if redis.call('ZCARD', org_index('w', org)) > 0 then ring() end
return 1

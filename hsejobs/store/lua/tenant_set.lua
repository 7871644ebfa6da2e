-- tenant_set: sets an organization's weight, limit and pause in a queue. Its jobs stay waiting while it is paused.
-- KEYS: 1 the queue's base
-- ARGV: organization, weight, limit, paused, seen, who, entry
--   each '': unchanged; limit '-': none of its own; paused 1 or 0; seen: "<weight> <limit> <paused>" as the user saw
--   them, '' for any; who: who acts; entry: lib/audit
-- returns: 1 if that changed anything, else 0; -1 if they changed since they were seen
-- errors: none
-- full server: runs
-- include: base share turns noting? limits? audit?
local org, key = ARGV[1], base .. K.tenants
local before = read(key, org)[1] or ''
local weight, limit, paused, by = string.match(before, '^(%S+) (%S+) (%S+) ?(.*)$')
local known = weight and weight .. ' ' .. limit .. ' ' .. paused or before == '' and '1 - 0' or before
local function chosen(argument, current, default)
  return argument ~= '' and argument or current or default
end
local holds = chosen(ARGV[4], paused, '0')
local after = chosen(ARGV[2], weight, '1') .. ' ' .. chosen(ARGV[3], limit, '-') .. ' ' .. holds
if ARGV[5] ~= '' and ARGV[5] ~= known then
  record_act(ARGV[7], true, 0)
  return -1
end
record_act(ARGV[7], true, after == known and 0 or 1)
if after == known then return 0 end
if holds ~= '1' then
  by = ''
elseif paused ~= '1' then
  by = NOW .. ' ' .. ARGV[6]
end
if after == '1 - 0' then
  redis.call('HDEL', key, org)
else
  redis.call('HSET', key, org, by ~= '' and after .. ' ' .. by or after)
end
if redis.call('EXISTS', key) == 1 then
  set_share(OVERRIDES, '1')
else
  unset_share(OVERRIDES)
end
note_org(org)
unpark(org)
if redis.call('ZCARD', org_index('w', org)) > 0 then ring() end
return 1

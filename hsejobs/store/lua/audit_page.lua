-- audit_page: entries of the audit log, newest first.
-- KEYS: 1 the base of the queue, or of what belongs to no queue
-- ARGV: organization, newest, oldest, offset, limit
--   organization: whose entries, '' for all; newest and oldest: Redis ms, both included
-- returns: {entries looked at, then for each that is there {id, at, fixed part as JSON, count, ids, organization or ''}}
-- errors: none
-- read only
-- include: base
local name = base .. (ARGV[1] == '' and K.audit or K.auditorg .. ARGV[1])
local newer = redis.call('ZCOUNT', name, '(' .. int(whole(ARGV[2], now_ms)), '+inf')
local from, oldest = newer + whole(ARGV[4], 0), whole(ARGV[3], 0)
local ids = redis.call('ZREVRANGE', name, from, from + whole(ARGV[5], 1) - 1)
local out = { #ids }
for _, id in ipairs(ids) do
  local found = read(base .. K.entry .. id, 'at', 'e', 'n', 'ids', 'o')
  if whole(found[1], -1) >= oldest then out[#out + 1] = { id, found[1], found[2] or '', found[3] or '0', found[4] or '', found[5] or '' } end
end
return out

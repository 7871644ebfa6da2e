-- window: jobs of a state by position, around one job even if the others move.
-- KEYS: 1 the queue's base
-- ARGV: state, organization, reverse, offset, limit, anchor, anchor_row, errors
--   limit: at most 200; anchor: a job's id or '', which is placed in row anchor_row of the window if it
--   is still in the state, in place of `offset`; errors: how many of the newest (0: all)
-- returns: {total, paused (0 or 1), offset of the first job, place of the anchor or -1, Redis time in ms,
--       the records as lib/record returns them, without payloads}
-- errors: none
-- read only
-- include: base version record
local state, only, reverse = ARGV[1], ARGV[2], ARGV[3] == '1'
local name = only == '' and index(state) or org_index(state, only)
local offset, limit = whole(ARGV[4], 0), within(ARGV[5], 1, 200, 1)
local total, place = redis.call('ZCARD', name), -1
if ARGV[6] ~= '' then
  place = redis.call(reverse and 'ZREVRANK' or 'ZRANK', name, ARGV[6]) or -1
  if place >= 0 then offset = place - whole(ARGV[7], 0) end
end
offset = math.max(0, math.min(offset, total - limit))
local out = { total, is_paused() and 1 or 0, offset, place, now_ms }
for _, id in ipairs(redis.call(reverse and 'ZREVRANGE' or 'ZRANGE', name, offset, offset + limit - 1)) do
  local found = record(id, 0, whole(ARGV[8], 0))
  -- A missing record keeps its row: positions must not shift.
  out[#out + 1] = found or { id, {}, '', '', {} }
end
return out

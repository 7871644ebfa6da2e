-- page: one page of the jobs in a state, from either end, by cursor.
-- KEYS: 1 the queue's base
-- ARGV: state, organization, limit, reverse, cursor_score, cursor_id, payload_bytes, errors, most_bytes, resultless
--   limit: at most 200; cursor_score and cursor_id: of the last job of the previous page, or '';
--   payload_bytes: maximum length of payload and result (0: none); errors: how many of the newest (0: all,
--   -1: the newest without its traceback); resultless: 1 for no results;
--   most_bytes: maximum of payloads, results and errors in all, except for one job: the page then ends early
-- returns: {total, paused (0 or 1), next score or '', next id, the records as lib/record returns them}
-- errors: none
-- read only
-- include: base version record
local state, only, limit, reverse = ARGV[1], ARGV[2], within(ARGV[3], 1, 200, 1), ARGV[4] == '1'
local name = only == '' and index(state) or org_index(state, only)
local range, rank_of = reverse and 'ZREVRANGE' or 'ZRANGE', reverse and 'ZREVRANK' or 'ZRANK'
local start = 0
if ARGV[6] ~= '' then
  local rank = redis.call('ZSCORE', name, ARGV[6]) == ARGV[5] and redis.call(rank_of, name, ARGV[6])
  if rank then
    start = rank + 1
  elseif reverse then
    -- The cursor's job has moved: continue at its score, after the jobs with the same score that preceded it.
    start = redis.call('ZCOUNT', name, '(' .. ARGV[5], '+inf')
  else
    start = redis.call('ZCOUNT', name, '-inf', '(' .. ARGV[5])
  end
  if not rank then
    local equals = redis.call(range, name, start, start + 999, 'WITHSCORES')
    for i = 1, #equals, 2 do
      local before = equals[i] <= ARGV[6]
      if reverse then before = equals[i] >= ARGV[6] end
      if equals[i + 1] ~= ARGV[5] or not before then break end
      start = start + 1
    end
  end
end
local ids = redis.call(range, name, start, start + limit - 1, 'WITHSCORES')
local total = redis.call('ZCARD', name)
local out = { total, is_paused() and 1 or 0, '', '' }
if #ids > 0 and start + #ids / 2 < total then
  out[3], out[4] = ids[#ids], ids[#ids - 1]
end
local bytes, most = 0, whole(ARGV[9], 0)
for i = 1, #ids, 2 do
  local found = record(ids[i], whole(ARGV[7], 0), whole(ARGV[8], 0), state, ids[i + 1], ARGV[10] == '1')
  if found then
    out[#out + 1] = found
    bytes = bytes + #found[3] + #found[4]
    for _, one in ipairs(found[5]) do bytes = bytes + #one end
  end
  if bytes >= most and i + 1 < #ids then
    out[3], out[4] = ids[i + 1], ids[i]
    break
  end
end
return out

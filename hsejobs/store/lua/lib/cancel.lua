-- Ends a cancelled job as failed. Who cancelled it, why and when is in `cl`, as JSON.
local function text_of_cancel(text)
  local ok, cancel = pcall(cjson.decode, text)
  if not ok or type(cancel) ~= 'table' then cancel = {} end
  local by = type(cancel.by) == 'string' and cancel.by or 'an unknown user'
  local reason = type(cancel.reason) == 'string' and ': ' .. cancel.reason or ''
  return 'cancelled by ' .. by .. reason
end

-- A job that was ended from outside, with extras such as a chord, which waits for it: the next sweep hands
-- it to a consumer, which reports its end.
local function ended_outside(id, extras)
  if extras then redis.call('ZADD', base .. K.ended, NOW, id) end
end

-- The job is in `state`. `entry`: what its worker reported, a table of the error's fields, `us`: how long it ran;
-- nil for nothing.
local function end_cancelled(id, state, entry, us)
  local key = base .. K.job .. id
  local job = read(key, 'o', 'am', 'pt', 'tk', 'cl', 'x', 'lk', 'ky', 'n')
  local org = job[1]
  entry = entry or {}
  entry.attempt = entry.attempt or within(job[2], 0, 1000000, 0)
  if state == 'a' and not entry.worker then entry.worker, entry.startedAt = job[4], whole(job[3]) end
  entry.code, entry.error, entry.failedAt = 'cancelled', text_of_cancel(job[5]), now_ms
  take_from(state, org, id)
  if job[7] then free_locks(id, job[4], job[7]) end
  if state == 'a' then left_active(id, org, us or (now_ms - whole(job[3], now_ms)) * 1000) end
  if state == 'w' and job[8] then key_gone(id, job[9] or '', job[8]) end
  if state == 'w' then leave_aside(id, job[9] or '') end
  redis.call('ZREM', base .. K.cancels, id)
  redis.call('HSET', key, 'st', 'f', 'ec', 'cancelled', 'ft', NOW)
  redis.call('RPUSH', base .. K.errors .. id, cjson.encode(entry))
  put_in('f', org, int(now_us), id)
  count_failed(org, job[9], 'cancelled')
  count('cx', org)
  event('failed', id, org)
  ended_outside(id, job[6])
end

-- A job whose worker stalled: back to its place without using an attempt, or failed: after too many
-- stalls, or because it was cancelled. Only a job that ran alone in its consumer fails for its stalls: otherwise
-- another one may have ended the worker.
local function stall_job(id, max_stalls)
  local key = base .. K.job .. id
  local job = read(key, 'st', 'o', 'sl', 'am', 'sc', 'tk', 'pt', 'p', 'cl', 'x', 'al', 'lk', 'ky', 'n')
  local org = job[2]
  if not is_there(key, job, job[1]) then
    take_from('a', nil, id)
    return nil
  end
  if settle(id, 'a', job[1], org, job[8]) then return nil end
  -- A record without a state may be listed in another one.
  if not STATE[job[1]] then take_from_all(org, id) end
  if job[9] then
    end_cancelled(id, 'a')
    return 'cancelled'
  end
  local ran = within(now_ms - whole(job[7], now_ms), 0, LONGEST_MS, 0) * 1000
  local stalls, made = within(job[3], 0, 1000000, 0) + 1, within(job[4], 0, 1000000, 0)
  if stalls > max_stalls and (max_stalls == 0 or (job[6] and job[6] == job[11])) then
    local entry = cjson.encode({
      attempt = made, code = 'stalled', worker = job[6] or nil,
      error = 'the worker went silent ' .. stalls .. ' times while it ran this job',
      startedAt = whole(job[7]), failedAt = now_ms,
    })
    take_from('a', org, id)
    if job[12] then free_locks(id, job[6], job[12]) end
    left_active(id, org, ran)
    count('st', org)
    count('ux', org, ran)
    redis.call('HSET', key, 'st', 'f', 'sl', stalls, 'ec', 'stalled', 'ft', NOW)
    redis.call('RPUSH', base .. K.errors .. id, entry)
    put_in('f', org, int(now_us), id)
    count_failed(org, job[14], 'stalled')
    count_group('f', 'stalled', 'the worker went silent <n> times while it ran this job')
    event('failed', id, org)
    ended_outside(id, job[10])
    return 'failed'
  end
  local place = place_of(job[5], job[8])
  take_from('a', org, id)
  if job[12] then free_locks(id, job[6], job[12]) end
  left_active(id, org, ran)
  count('st', org)
  count('ux', org, ran)
  redis.call('HSET', key, 'st', 'w', 'sl', stalls, 'am', math.max(0, made - 1), 'sc', place, 'si', NOW)
  redis.call('HDEL', key, 'tk', 'pg', 'pm', 'al')
  key_back(id, job[13], place)
  put_in('w', org, place, id)
  event('stalled', id, org)
  return 'waiting'
end

-- Moves delayed jobs whose time has come to the waiting list, at most `limit`.
local function move_due(limit)
  local delayed = base .. K.delayed
  local ids = redis.call('ZRANGEBYSCORE', delayed, '-inf', int(now_ms), 'LIMIT', 0, limit)
  for _, id in ipairs(ids) do
    local job = redis.call('HMGET', base .. K.job .. id, 'p', 'o', 'ra')
    if job[1] then
      local org = job[2]
      take_from('d', org, id)
      to_waiting(id, org, tonumber(job[1]), { 'ws', job[3] or int(now_ms) })
      event('waiting', id, org)
    else
      redis.call('ZREM', delayed, id)
    end
  end
  return #ids
end

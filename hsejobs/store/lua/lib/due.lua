-- Moves due delayed jobs to the waiting list, at most `limit`.
local function move_due(limit)
  local ids = redis.call('ZRANGEBYSCORE', base .. K.delayed, '-inf', NOW, 'LIMIT', 0, limit)
  if #ids > 0 then begin() end
  for _, id in ipairs(ids) do
    local key = base .. K.job .. id
    local job = read(key, 'st', 'o', 'p', 'ra')
    local org = job[2]
    if not is_there(key, job, job[1]) then
      take_from('d', nil, id)
    elseif not settle(id, 'd', job[1], org, job[3]) then
      to_waiting(id, 'd', org, job[3], { 'ws', int(whole(job[4], now_ms)) })
      event('waiting', id, org)
    end
  end
  return #ids
end

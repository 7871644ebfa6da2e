-- drain and obliterate: takes whole states away, at most `limit` jobs a call.
-- KEYS: 1 the queue's base
-- ARGV: states, force, limit, whole
--   limit: at most 1000; states: letters in order; whole 1: the queue's own keys too
-- returns: {removed, 1 when nothing is left to do}, or {-1, active jobs} when jobs run and it is not forced
-- errors: none
-- full server: runs
-- include: base place settle delete
local states, limit = ARGV[1], whole(ARGV[3], 1)
if ARGV[4] == '1' and ARGV[2] ~= '1' then
  local running = redis.call('ZCARD', base .. K.active)
  if running > 0 then return { -1, running } end
end
local removed, seen = 0, 0
for i = 1, #states do
  local state = string.sub(states, i, i)
  if seen < limit then
    for _, id in ipairs(redis.call('ZRANGE', index(state), 0, limit - seen - 1)) do
      local job = read(base .. K.job .. id, 'st', 'o', 'p')
      seen = seen + 1
      -- A job that stands here by mistake is drained only with its own state.
      if ARGV[4] == '1' or not settle(id, state, job[1], job[2], job[3]) then
        if job[1] ~= state then take_from(state, job[2], id) end
        delete_job(id, STATE[job[1]] and job[1], job[2])
        removed = removed + 1
      end
    end
  end
end
if seen >= limit then
  publish()
  return { removed, 0 }
end
publish()
if ARGV[4] == '1' then
  redis.call('UNLINK', base .. K.paused, base .. K.seq, base .. K.bell, base .. K.events,
    base .. K.revoked, base .. K.slots, base .. K.lastruns, base .. K.lastends)
end
return { removed, 1 }

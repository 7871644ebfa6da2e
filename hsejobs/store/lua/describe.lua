-- describe: what is known about a queue: its description, and those of its releases.
-- KEYS: 1 the queue's base
-- ARGV:
-- returns: {Redis time in ms, the description or '', the SHA-1 of the last one that this release or a newer
--   one wrote or '', {release, its description, when it was seen in ms, ...}, {task and secret field, ...}}
-- errors: none
-- read only
-- include: base
local releases, found = {}, redis.call('HGETALL', base .. K.releases)
local written = ''
for i = 1, #found, 2 do
  local id = found[i]
  if id == '' then
    written = found[i + 1]
  else
    local at = #releases
    releases[at + 1], releases[at + 2] = id, found[i + 1]
    releases[at + 3] = redis.call('ZSCORE', base .. K.seen, id) or '0'
  end
end
local masks, times = {}, redis.call('HGETALL', base .. K.masks)
for i = 1, #times, 2 do masks[#masks + 1] = times[i] end
return { now_ms, redis.call('GET', base .. K.queue) or '', written, releases, masks }

-- The audit log: one entry per act. The act's first script writes the entry, its later ones add to it, so that
-- there is no act without its entry. `packed` is "<id>\n<organization>\n<JSON>" (see store/audits.py); '' writes
-- none: what the system does by itself is not an act. With an organization the entry is that one's; otherwise it
-- belongs to the organization of all jobs that the act changed, if it is the same one.
local acted, acted_count, acted_org = {}, 0, ''

-- Counts a job that the act changed.
local function note_act(id, org)
  acted_count = acted_count + 1
  if acted_count <= AUDIT_IDS then acted[acted_count] = id end
  acted_org = (acted_count == 1 or acted_org == (org or '')) and (org or '') or ''
end

local function drop_acts(ids)
  for _, id in ipairs(ids) do
    local org = read(base .. K.entry .. id, 'o')[1]
    redis.call('UNLINK', base .. K.entry .. id)
    redis.call('ZREM', base .. K.audit, id)
    if org then redis.call('ZREM', base .. K.auditorg .. org, id) end
  end
end

-- Lists an entry, drops the oldest above `most`, and those that are too old.
local function list_act(name, id, at, most)
  redis.call('ZADD', name, at, id)
  redis.call('EXPIRE', name, AUDIT_TTL)
  local over = math.min(redis.call('ZCARD', name) - most, 100)
  if over > 0 then drop_acts(redis.call('ZRANGE', name, 0, over - 1)) end
  redis.call('ZREMRANGEBYSCORE', name, '-inf', int(now_ms - AUDIT_TTL * 1000))
end

local function joined_ids(text)
  local known = select(2, string.gsub(text, '[^\n]+', ''))
  for _, id in ipairs(acted) do
    if known >= AUDIT_IDS or #text + #id >= AUDIT_BYTES then break end
    text, known = text == '' and id or text .. '\n' .. id, known + 1
  end
  return text
end

-- Writes what `note_act` collected. `found`: whether the act found anything that it could refuse or change; without,
-- no new entry is written. `count`: how much the act changed, where that is no number of jobs.
local function record_act(packed, found, count)
  local id, org, text = string.match(packed, '^(%w+)\n([^\n]*)\n(.*)$')
  if not id then return end
  local key, all = base .. K.entry .. id, base .. K.audit
  local there = read(key, 'at', 'n', 'o', 'ids')
  if not there[1] and not found and acted_count == 0 then return end
  local before, at = whole(there[2], 0), int(whole(there[1], now_ms))
  local owner = there[3] or ''
  if org ~= '' then
    owner = org
  elseif acted_count > 0 and before == 0 then
    owner = acted_org
  elseif acted_count > 0 and owner ~= acted_org then
    owner = ''
  end
  redis.call('HSET', key, 'at', at, 'e', text, 'n', int(count and math.max(before, count) or before + acted_count), 'ids', joined_ids(there[4] or ''))
  redis.call('EXPIRE', key, AUDIT_TTL)
  if there[3] and there[3] ~= owner then
    redis.call('HDEL', key, 'o')
    redis.call('ZREM', base .. K.auditorg .. there[3], id)
  end
  if not there[1] then list_act(all, id, at, AUDIT_KEPT) end
  if owner ~= '' and there[3] ~= owner then
    redis.call('HSET', key, 'o', owner)
    list_act(base .. K.auditorg .. owner, id, at, AUDIT_ORG_KEPT)
  end
end

-- The audit log: one entry per act. The act's first script writes the entry, its later ones add to it, so that
-- there is no act without its entry. `packed` is "<id>\n<organization>\n<JSON>" (see store/audits.py); '' writes
-- none: what the system does by itself is not an act. With an organization the entry is that one's; otherwise it
-- belongs to the organization of all jobs that the act changed, if it is the same one. An act that changed none
-- lists the jobs that it was refused.
local acted, refused = { n = 0, org = '' }, { n = 0, org = '' }

local function note_job(noted, id, org)
  noted.n = noted.n + 1
  if noted.n <= AUDIT_IDS then noted[noted.n] = id end
  noted.org = (noted.n == 1 or noted.org == (org or '')) and (org or '') or ''
end

-- Counts a job that the act changed.
local function note_act(id, org) note_job(acted, id, org) end

-- Counts a job that the act was refused, if the actor may know of it.
local function note_refused(id, org) note_job(refused, id, org) end

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

local function joined_ids(text, noted)
  local known = select(2, string.gsub(text, '[^\n]+', ''))
  for _, id in ipairs(noted) do
    if known >= AUDIT_IDS or #text + #id >= AUDIT_BYTES then break end
    -- A call that is sent again is refused the same jobs.
    if not string.find('\n' .. text .. '\n', '\n' .. id .. '\n', 1, true) then
      text, known = text == '' and id or text .. '\n' .. id, known + 1
    end
  end
  return text
end

-- Writes what `note_act` and `note_refused` collected. `always`: also if that is nothing; without, no new entry is
-- written then. `count`: how much the act changed, where that is no number of jobs.
local function record_act(packed, always, count)
  local id, org, text = string.match(packed, '^(%w+)\n([^\n]*)\n(.*)$')
  if not id then return end
  local key, all = base .. K.entry .. id, base .. K.audit
  local there = read(key, 'at', 'n', 'o', 'ids')
  if not there[1] and not always and acted.n + refused.n == 0 then return end
  local before, at = whole(there[2], 0), int(whole(there[1], now_ms))
  local owner, ids = there[3] or '', there[4] or ''
  local noted = (acted.n > 0 or before > 0) and acted or refused
  -- What the act changes takes the place of what it was refused before.
  local first = not there[1] or (noted == acted and before == 0)
  if org ~= '' then
    owner = org
  elseif noted.n > 0 then
    owner = (first or owner == noted.org) and noted.org or ''
  end
  ids = joined_ids(first and '' or ids, noted)
  redis.call('HSET', key, 'at', at, 'e', text, 'n', int(count and math.max(before, count) or before + acted.n), 'ids', ids)
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

-- fold: moves minutes that have ended into the history, once and in order: their tasks' counters become the queue's,
-- the totals grow, and records of periods are stored.
-- KEYS: 1 the queue's base
-- ARGV: before, through, book, numbered; each: what, value, ttl_s
--   before: the last minute in the history as the caller knows it, -1 for none; through: the last one to add, at
--   most 10 at once; book: of the names; numbered: how many names it had;
--   what: "n" and a name, whose number is value, or "h" and a period, whose record is value
-- returns: 1, or 0 if another caller was faster
-- errors: none
-- include: base totals
local before, through, history = whole(ARGV[1], -1), whole(ARGV[2], 0), base .. K.history
local names = base .. K.names .. ARGV[3]
local cursor = whole(read(history, 'm')[1], -1)
if cursor ~= before and not (cursor > minute + 1 and before < cursor) then return 0 end
if through >= minute or through <= before or whole(read(names, '')[1], 0) ~= whole(ARGV[4], 0) then return 0 end
begin()

local totals = {}

-- Codes beyond the limit count as one.
local function code_of(name)
  if totals[name] or redis.call('HGET', base .. K.totals, name) then return name end
  return bump(base .. K.totals, 'codes', 1) > CODES_COUNTED and 'fc:other' or name
end

local function fold_minute(at)
  local key = base .. K.minute .. at
  local flat = redis.pcall('HGETALL', key)
  if flat.err or #flat == 0 then return end
  local own, summed = {}, {}
  sum_minute(flat, totals, code_of)
  for i = 1, #flat, 2 do
    local number = whole(flat[i + 1], 0)
    local name, task = string.match(flat[i], '^(%l+%d*)|(.*)$')
    if task then
      own[#own + 1] = flat[i]
      summed[name] = (summed[name] or 0) + number
    end
  end
  for from = 1, #own, 500 do redis.call('HDEL', key, unpack(own, from, math.min(#own, from + 499))) end
  for name, number in pairs(summed) do
    if name ~= 'ft' and name ~= 'fr' and name ~= 'tt' then bump(key, name, int(number)) end
  end
  redis.call('EXPIRE', key, MINUTE_TTL)
end

for at = math.max(before + 1, through - 9), through do
  fold_minute(at)
  -- The next sample asks for the busiest of this minute.
  redis.call('UNLINK', base .. K.errorminute .. at, base .. K.sample .. at, base .. K.busiest .. (at - 2))
end
for name, by in pairs(totals) do bump(base .. K.totals, name, int(by)) end
redis.call('EXPIRE', base .. K.totals, TOTALS_TTL)
local numbered = whole(ARGV[4], 0)
for a = 5, #ARGV, 3 do
  local kind, rest = string.sub(ARGV[a], 1, 1), string.sub(ARGV[a], 2)
  if kind == 'n' then
    redis.call('HSET', names, rest, ARGV[a + 1])
    redis.call('EXPIRE', names, ARGV[a + 2])
    numbered = math.max(numbered, whole(ARGV[a + 1], 0))
  else
    redis.call('SET', base .. K.period .. rest, ARGV[a + 1], 'EX', ARGV[a + 2])
  end
end
if numbered > whole(ARGV[4], 0) then redis.call('HSET', names, '', int(numbered)) end
redis.call('HSET', history, 'm', int(through), 'l', 0)
return 1

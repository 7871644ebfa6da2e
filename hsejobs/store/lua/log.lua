-- log: adds lines of an active job, by token; the newest are kept. A resent call writes no line twice.
-- KEYS: 1 the queue's base
-- ARGV: id, token, lines_kept, final, first; each: line
--   final 1: the last lines, which are written with the outcome and accepted by a full server;
--   first: how many lines this token wrote before these
-- returns: 1, or 0 if the token no longer holds the job
-- errors: none
-- include: base
local id, token = ARGV[1], ARGV[2]
local key = base .. K.job .. id
local job = read(key, 'st', 'tk', 'ls')
if job[1] ~= 'a' or job[2] ~= token then return 0 end
local kept, first, written = within(ARGV[3], 1, 100000, 1), whole(ARGV[5], 0), 0
if job[3] and string.sub(job[3], 1, #token + 1) == token .. ' ' then
  written = whole(string.sub(job[3], #token + 2), 0)
end
local new = 6 + math.max(0, written - first)
if new > #ARGV then return 1 end
if ARGV[4] == '1' then begin() end
for a = new, #ARGV do redis.call('RPUSH', base .. K.logs .. id, ARGV[a]) end
redis.call('LTRIM', base .. K.logs .. id, -kept, -1)
bump(key, 'lc', #ARGV - new + 1)
redis.call('HSET', key, 'ls', token .. ' ' .. int(first + #ARGV - 5))
return 1

-- tally: adds to counters that many processes share; a resent report counts once.
-- KEYS: 1 the counters' base
-- ARGV: reporter, number, ttl_s; each: field, by
--   number: 1 for a reporter's first report, one more for each after it
-- returns: 1 if it was added, 0 if it had been added before
-- errors: none
-- include: base
local seen, tally = base .. K.reported .. ARGV[1], base .. K.tally
if whole(redis.call('GET', seen), 0) >= whole(ARGV[2], 0) then return 0 end
redis.call('SET', seen, ARGV[2], 'EX', 3600)
for i = 4, #ARGV, 2 do bump(tally, ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', tally, ARGV[3])
return 1

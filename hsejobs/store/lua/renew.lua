-- renew: renews the leases of active jobs, by token.
-- KEYS: 1 the queue's base
-- ARGV: lease_ms; each: id, token
-- returns: id and token of each job that its token no longer holds (the call may contain two attempts of one job)
-- errors: none
-- full server: runs
-- include: base
local lease_until = int(now_ms + within(ARGV[1], 0, LONGEST_MS, 0))
local lost = {}
for a = 2, #ARGV, 2 do
  local id = ARGV[a]
  local job = read(base .. K.job .. id, 'st', 'tk', 'o')
  if job[1] == 'a' and job[2] == ARGV[a + 1] then
    put_in('a', job[3], lease_until, id)
  else
    lost[#lost + 1] = id
    lost[#lost + 1] = ARGV[a + 1]
  end
end
return lost

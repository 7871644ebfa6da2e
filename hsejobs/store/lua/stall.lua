-- stall: stalls jobs at once, without waiting for the lease, because their worker is known to be dead.
-- KEYS: 1 the queue's base
-- ARGV: max_stalls; each: id, token
-- returns: the new state of each: "waiting", "failed", "cancelled" (failed) or "refused"
-- errors: none
-- full server: runs
-- include: base share turns noting? limits? place rate? keyed? costs? locks? held? settle? failures? cancel? stall
local became = {}
for a = 2, #ARGV, 2 do
  local id = ARGV[a]
  local outcome
  if read(base .. K.job .. id, 'tk')[1] == ARGV[a + 1] then
    outcome = stall_job(id, whole(ARGV[1], 0))
  end
  became[#became + 1] = outcome or 'refused'
end
if redis.call('ZCARD', base .. K.waiting) > 0 then ring() end
publish()
return became

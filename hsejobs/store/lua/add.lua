-- add: new -> waiting or delayed. The same id again changes nothing and says where the job is.
-- KEYS: 1 the queue's base
-- ARGV: each: id, nonce, name, priority, organization, user, delay_ms, attempts, backoff_ms, timeout_ms, payload, extras, signature
--   organization, user, extras, signature and nonce may be ''
-- returns: for each job what lib/add says
-- errors: none
-- include: base place add
local out, waits = {}, false
together = #ARGV / 13
for a = 1, #ARGV, 13 do
  out[#out + 1] = add_job(a)
  waits = waits or out[#out] == '1w'
end
if waits and not is_paused() then ring() end
publish()
return out

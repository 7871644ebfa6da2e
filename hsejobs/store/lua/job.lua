-- job: one complete job.
-- KEYS: 1 the queue's base
-- ARGV: organization, id, payload_bytes
--   organization '' for any; payload_bytes: maximum length of payload and result
-- returns: the reply of lib/record and whether the queue is paused; nil if missing or another organization's
-- errors: none
-- read only
-- include: base version record
local org = read(base .. K.job .. ARGV[2], 'o')[1]
if ARGV[1] ~= '' and org ~= ARGV[1] then return nil end
local found = record(ARGV[2], whole(ARGV[3], 0), 0)
if found then found[6] = is_paused() and 1 or 0 end
return found

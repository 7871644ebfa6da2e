-- audit: writes the entry of an act whose work is not in one queue's keys: of files, of a tenant's erasure.
-- KEYS: 1 the base of the queue, or of what belongs to no queue
-- ARGV: entry, count, id
--   entry: lib/audit; count: of what the act changed so far; id: of the job, '' for none
-- returns: 1
-- errors: none
-- full server: runs
-- include: base audit?
if ARGV[3] ~= '' then note_act(ARGV[3]) end
record_act(ARGV[1], true, whole(ARGV[2], 0))
return 1

"""Mutants of what a worker holds and has on its way: slots, steps, batches ahead."""

from __future__ import annotations

from tests.mutants.engine import engine
from tests.mutants.mutant import Mutant

OVERLAP = "engine/test_overlap.py"
AHEAD = "engine/test_ahead.py"
SLOTS = ("engine/test_slots.py",)
FIRST = ("store/test_first_parts.py",)
BROKEN = ("store/test_broken_records.py",)

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a claim without a reply is looked for among the newest leases",
        "hsejobs/store/lua/lib/claim.lua",
        "    if #taken > 1 or again > 0 then\n",
        "    if false then\n",
        ("store/test_sent_again.py",),
    ),
    Mutant(
        "a line break in a word of a claim is taken for its end",
        "hsejobs/store/lua/lib/turn.lua",
        "(job[7] or '') .. (job[13] or ''), '\\n', 1, true)\n",
        "'', '\\n', 1, true)\n",
        FIRST,
    ),
    Mutant(
        "a large payload is announced, too",
        "hsejobs/store/lua/lib/turn.lua",
        "large and 0 or #payload",
        "#payload",
        FIRST,
    ),
    Mutant(
        "a job stays in a third list",
        "hsejobs/store/lua/lib/settle.lua",
        "if other ~= letter then",
        "if other == found_in then",
        BROKEN,
    ),
    Mutant(
        "a broken list of an organization keeps a job from its own",
        "hsejobs/store/lua/lib/settle.lua",
        "if org then redis.pcall(",
        "if org then redis.call(",
        BROKEN,
    ),
    engine(
        "what was taken back is taken back again",
        "slots",
        "                count = used = 0\n",
        "",
        *SLOTS,
    ),
    engine(
        "a batch that was taken back is stored all the same",
        "slots",
        "recalled = bool(on_their_way) and on_their_way[0][0] == RECALLED",
        "recalled = False",
        *SLOTS,
    ),
    engine(
        "the outcomes of the batch before are forgotten when they are sent",
        "slots",
        "self._put_sent(room, held, count, size)",
        "pass",
        *SLOTS,
    ),
    engine(
        "nobody knows the claim of a process that was killed",
        "slots",
        "self._put_ahead([(AWAITED, token)])",
        "pass",
        *SLOTS,
    ),
    engine(
        "a long job keeps the next batch",
        "maintenance",
        "tokens = slot.recall(behind=behind, dead=dead)",
        "tokens = []",
        f"{OVERLAP}::test_a_long_job_keeps_no_batch_behind_it",
    ),
    engine(
        "a claim ahead without a reply is forgotten",
        "stepping",
        "self._unanswered, self._sent = ours[0], 1",
        "pass",
        f"{OVERLAP}::test_cut_replies_to_steps_that_are_on_their_way",
    ),
    engine(
        "outcomes of two batches are on their way, and those of one are known",
        "worker",
        "keep = 1 + sum(bool(one.done) for one in self.flights)",
        "keep = 1",
        "engine/test_worker_death.py",
    ),
    engine(
        "the reply of a lost step is read as that of another call",
        "stepping",
        "                self.line.redis.close()\n",
        "                pass\n",
        AHEAD,
    ),
    engine(
        "jobs of a late reply begin",
        "worker",
        "if (time.monotonic() - flight.at) * 3000 > self.lease:",
        "if False:",
        AHEAD,
    ),
    engine(
        "claims wait behind outcomes that are written one by one",
        "worker",
        "if slow and self.slot.left:",
        "if False:",
        AHEAD,
    ),
    engine(
        "failing jobs are claimed in large batches",
        "pace",
        "min(self._most, MOST_FAR if self.far else MOST)",
        "MOST_FAR if self.far else MOST",
        "engine/test_pace.py",
    ),
    engine(
        "a claim that could not be given back is forgotten when another is lost",
        "stepping",
        "self._behind += ours[1:]",
        "self._behind = ours[1:]",
        AHEAD,
    ),
    engine(
        "a claim waits behind a job that stalled before",
        "worker",
        "if claims[0].stalls:\n",
        "if False:\n",
        OVERLAP,
    ),
    engine(
        "an abandoned job's outcome counts",
        "slots",
        "return not flags & ABANDONED",
        "return True",
        "engine/test_outcomes.py",
    ),
)

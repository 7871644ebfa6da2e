"""Faults in the dashboard's acts: undo, what is not as it was seen, read-only, tenants."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

ACTS = "hsejobs_tui/core/acts.py"

MUTANTS = (
    Mutant(
        "undo begins with the oldest removal",
        ACTS,
        "last = self._undo[-1]",
        "last = self._undo[0]",
        ("tui/test_screens.py::test_undo_brings_the_newest_removal_back_first",),
    ),
    Mutant(
        "a removal keeps no copy",
        ACTS,
        "            self._keep(undo, removed)\n",
        "",
        ("tui/test_screens.py::test_a_removal_asks_and_undo_brings_the_job_back",),
    ),
    Mutant(
        "a session of one tenant acts on all",
        ACTS,
        "if self.org is not None:",
        "if False:",
        ("tui/test_limits.py::test_an_organisation_sees_and_changes_its_own_jobs_only",),
    ),
    Mutant(
        "a removal is not in the audit log",
        ACTS,
        "self.audit.write(act, queue, done=progress.done, of=",
        "dict(done=progress.done, of=",
        ("tui/test_screens.py::test_a_removal_asks_and_undo_brings_the_job_back",),
    ),
)

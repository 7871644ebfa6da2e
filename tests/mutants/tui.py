"""Mutants of acts: undo, audit log, tenants."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

ACTS, PROGRESS = "hsejobs/control/acts.py", "hsejobs/control/progress.py"

MUTANTS = (
    Mutant(
        "undo begins with the oldest removal",
        PROGRESS,
        "return (self._kept[-1], self._kept[-1].until - now)",
        "return (self._kept[0], self._kept[0].until - now)",
        ("tui/test_screens.py::test_undo_brings_the_newest_removal_back_first",),
    ),
    Mutant(
        "a removal keeps no copy",
        ACTS,
        "                removal.keep(removed)\n",
        "                pass\n",
        ("tui/test_screens.py::test_a_removal_asks_and_undo_brings_the_job_back",),
    ),
    Mutant(
        "a session of one tenant acts on all",
        ACTS,
        "if ACTS[act].whole and self.org is not None:",
        "if False:",
        ("tui/test_limits.py::test_an_organization_sees_and_changes_its_own_jobs_only",),
    ),
    Mutant(
        "a removal is not in the audit log",
        ACTS,
        "            self._record(progress, [job_id for job_id, _ in jobs], **about)\n",
        "            pass\n",
        ("tui/test_screens.py::test_a_removal_asks_and_undo_brings_the_job_back",),
    ),
)

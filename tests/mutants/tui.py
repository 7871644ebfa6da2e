"""Mutants of acts: undo, audit log, tenants."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

ACTS, PROGRESS = "hsejobs/control/acts.py", "hsejobs/control/progress.py"
AUDIT = "hsejobs/store/lua/lib/audit.lua"

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
        "hsejobs/control/acting.py",
        "if ACTS[act].whole and self.org is not None:",
        "if False:",
        ("tui/test_limits.py::test_an_organization_sees_and_changes_its_own_jobs_only",),
    ),
    Mutant(
        "a removal is not in the audit log",
        "hsejobs/store/lua/remove.lua",
        "record_act(ARGV[2], #ARGV == 2)\n",
        "",
        ("tui/test_screens.py::test_a_removal_asks_and_undo_brings_the_job_back",),
    ),
    Mutant(
        "a later step of an act has an entry of its own count",
        AUDIT,
        "or before + acted.n)",
        "or acted.n)",
        ("control/test_audit.py::test_the_steps_of_an_act_are_one_entry",),
    ),
    Mutant(
        "an act on the jobs of several organizations is the first one's",
        AUDIT,
        "(first or owner == noted.org) and noted.org or ''",
        "first and noted.org or owner",
        ("control/test_audit.py::test_an_act_that_goes_on_with_anothers_jobs_is_nobodys",),
    ),
    Mutant(
        "a clean with a limit takes others instead",
        "hsejobs/store/sweeps.py",
        "return Selection(limit, int(moment), tuple(jobs[:limit]))",
        "return Selection(limit, int(moment))",
        ("control/test_binding.py",),
    ),
    Mutant(
        "a queue that was paused again is resumed",
        "hsejobs/store/lua/pause.lua",
        "since ~= whole(ARGV[2], 0)",
        "false",
        ("control/test_binding.py",),
    ),
)

"""A hold of a task is let go only as it was shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hsejobs.control import holding
from hsejobs.errors import WrongState
from hsejobs.store.registry import QueueInfo, TaskInfo
from tests.support.waiting import tick

if TYPE_CHECKING:
    from tests.control.test_binding import Stage


def set_task(stage: Stage) -> None:
    """Letting go is bound to the hold that was shown: a colleague may have let it go, and held it again."""
    info = QueueInfo("q", [TaskInfo("m.t")], "m.t")
    seen = holding.set_task(stage.acts, info, "t", paused=True).held
    assert seen is not None
    tick(stage.redis)
    holding.set_task(stage.acts, info, "t", paused=False)
    holding.set_task(stage.acts, info, "t", paused=True)
    with pytest.raises(WrongState):
        holding.set_task(stage.acts, info, "t", paused=False, seen=seen.since)
    assert holding.list_tasks(stage.acts, info).tasks[0].paused
    holding.set_task(stage.acts, info, "t", paused=False)

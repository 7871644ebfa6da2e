"""An edited copy runs instead of a failed job only if that one is as it was shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hsejobs.errors import WrongState
from hsejobs.store.registry import QueueInfo, TaskInfo
from hsejobs.store.write import NewJob

if TYPE_CHECKING:
    from tests.control.test_binding import Stage


def supersede(stage: Stage) -> None:
    """A colleague retried the job, or edited it too, between the question and the act."""
    info = QueueInfo("q", [TaskInfo("m.t")], "m.t")

    def copy(job_id: str) -> NewJob:
        return NewJob(job_id, "m.t", b'{"edited":1}', 3, 3, 0, 0, nonce="n" + job_id)

    stage.fail("a")
    [(_, seen)] = stage.seen("a")
    stage.later()
    stage.writer.retry("q", "a")
    with pytest.raises(WrongState, match="waiting"):
        stage.acts.supersede(info, copy("b"), "a", seen)
    stage.fail("a")
    with pytest.raises(WrongState, match="changed since"):
        stage.acts.supersede(info, copy("b"), "a", seen)
    assert stage.states("a", "b") == "f-"
    [(_, seen)] = stage.seen("a")
    added = stage.acts.supersede(info, copy("b"), "a", seen)
    # The call is resent when its reply was lost.
    assert stage.acts.supersede(info, copy("b"), "a", seen) == added
    assert stage.reader.job("q", "a").superseded_by == "b"
    with pytest.raises(WrongState, match="superseded"):
        stage.acts.supersede(info, copy("c"), "a", seen)
    done = stage.many("retry", stage.seen("a"))
    assert dict(done.refused) == {"superseded by an edited copy": 1}
    assert stage.states("a", "b", "c") == "fw-"
    # Nothing runs instead of it any more, so that it can be retried.
    stage.writer.remove("q", "b")
    stage.writer.retry("q", "a")
    assert stage.reader.job("q", "a").superseded_by is None

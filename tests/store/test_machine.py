"""Any sequence of transitions, against a plain model: states, order, tenants, and no key left over."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from hsejobs.errors import JobActive, JobExists, JobNotFound, QueueBusy, WrongState
from hsejobs.model import FINISHED, JobRecord, State
from hsejobs.store.verify import RecordVerifier
from hsejobs.store.write import Cancel, RefusedJob
from tests.store.life import HOUR, ORG, ORGS, PICK, RARELY, SERVER, Working
from tests.store.plain import PlainJob
from tests.support.leaks import find_leaks
from tests.support.server import Server


class Life(Working):
    """Operators' acts, and the invariants after each rule."""

    # -- people

    def act(self, act: str, pick: int, org: str | None, wanted: State) -> PlainJob | None:
        """Takes the act; returns the job, or None if it was refused as it must be."""
        job = self.any_job(pick)
        call = getattr(self.writer, act)
        if job is None or (org and job.org != org):
            with pytest.raises(JobNotFound):
                call("q", job.id if job else "no-such-job", org)
            return None
        if job.state is not wanted:
            with pytest.raises(JobActive if job.state is State.ACTIVE else WrongState):
                call("q", job.id, org)
            return None
        call("q", job.id, org)
        return job

    @rule(pick=PICK, org=ORG)
    def promote(self, pick: int, org: str | None) -> None:
        if job := self.act("promote", pick, org, State.DELAYED):
            self.model.enter_waiting(job)

    @rule(pick=PICK, org=ORG)
    def retry(self, pick: int, org: str | None) -> None:
        if job := self.act("retry", pick, org, State.FAILED):
            self.model.retry(job)

    @rule(pick=PICK, org=ORG, owner=st.sampled_from([None, None, "u", "other"]))
    def cancel(self, pick: int, org: str | None, owner: str | None) -> None:
        self.next_call()
        job = self.any_job(pick)
        job_id = job.id if job else "nobody"
        refused = self.writer.cancel_many("q", [job_id], Cancel("ann", "no", owner), org)
        if job is None or (org and job.org != org):
            assert refused == [RefusedJob(job_id, "missing")]
        elif owner == "other":
            assert refused == [RefusedJob(job_id, "forbidden")]
        elif job.state in FINISHED:
            assert refused == [RefusedJob(job_id, job.state.letter)]
        elif job.cancelled:
            assert refused == [RefusedJob(job_id, "again")]
            # Without a living worker, it ends now.
            self.model.cancel(job)
        else:
            assert refused == []
            self.model.cancel(job)

    @rule(pick=PICK, org=ORG)
    def remove(self, pick: int, org: str | None) -> None:
        job = self.any_job(pick)
        if job is None or (org and job.org != org):
            with pytest.raises(JobNotFound):
                self.writer.remove("q", job.id if job else "no-such-job", org)
        elif job.state is State.ACTIVE:
            with pytest.raises(JobActive):
                self.writer.remove("q", job.id, org)
        else:
            removed = self.writer.remove("q", job.id, org)
            assert (removed.state, removed.organization_id) == (job.state, job.org)
            self.gone.append((removed, self.model.remove(job.id)))

    @precondition(lambda self: self.gone)
    @rule(pick=PICK, org=ORG)
    def restore(self, pick: int, org: str | None) -> None:
        removed, job = self.gone[pick % len(self.gone)]
        if org and job.org != org:
            with pytest.raises(JobNotFound):
                self.writer.restore(removed, org)
        elif job.id in self.model.jobs:
            with pytest.raises(JobExists):
                self.writer.restore(removed, org)
        else:
            self.writer.restore(removed, org)
            self.model.jobs[job.id] = job
            self.gone.remove((removed, job))

    @rule(
        state=st.sampled_from([s for s in State if s is not State.ACTIVE]),
        org=ORG,
        grace=st.sampled_from([0, HOUR]),
        limit=st.sampled_from([1, 1, 2, None]),
    )
    def clean(self, state: State, org: str | None, grace: int, limit: int | None) -> None:
        old = [] if grace else self.model.in_state(state, org)
        assert self.writer.cleanable("q", state, grace, org) == len(old)
        going = old[:limit]
        assert self.writer.clean("q", state, grace, organization_id=org, limit=limit) == len(going)
        for job in going:
            del self.model.jobs[job.id]

    @rule(pause=RARELY)
    def pause_or_resume(self, pause: bool) -> None:
        changed = self.writer.pause("q") if pause else self.writer.resume("q")
        assert changed == (pause != self.model.paused)
        self.model.paused = pause

    @rule(whole=st.booleans(), force=st.booleans(), really=RARELY)
    def empty(self, whole: bool, force: bool, really: bool) -> None:
        """drain and obliterate, not too often."""
        if not really:
            return
        going = self.model.in_state(State.WAITING) + self.model.in_state(State.DELAYED)
        if not whole:
            assert self.writer.drain("q") == len(going)
        elif self.model.in_state(State.ACTIVE) and not force:
            with pytest.raises(QueueBusy):
                self.writer.obliterate("q")
            return
        else:
            going = list(self.model.jobs.values())
            assert self.writer.obliterate("q", force=force) == len(going)
            self.model.seq, self.model.paused = 0, False
        for job in going:
            del self.model.jobs[job.id]

    # -- what must hold after each of them

    @invariant()
    def counts_are_right(self) -> None:
        for org in (None, *ORGS):
            (stats,) = self.reader.stats(["q"], org)
            assert {s.value: getattr(stats, s.value) for s in State} == self.model.counts(org)
            assert stats.is_paused == self.model.paused

    @invariant()
    def pages_are_right(self) -> None:
        for org in (None, *ORGS):
            for state in State:
                want = [job.id for job in self.model.in_state(state, org)]
                if org and not want:
                    continue
                page = self.reader.page("q", state, organization_id=org)
                seen = [job.id for job in page.jobs]
                if state is State.ACTIVE:
                    # In the order of leases, which the model does not know.
                    want, seen = sorted(want), sorted(seen)
                elif state not in (State.WAITING, State.DELAYED):
                    want.reverse()
                assert (state, org, seen) == (state, org, want)
                assert (page.total, page.next, page.paused) == (len(want), None, self.model.paused)
                if not org:
                    for job in page.jobs:
                        self.record_is_right(job, self.model.jobs[job.id])

    def record_is_right(self, seen: JobRecord, job: PlainJob) -> None:
        assert (
            seen.status,
            seen.organization_id,
            seen.priority,
            seen.attempts,
            seen.attempts_made,
            seen.stalls,
            len(seen.errors),
            seen.code,
            seen.data,
            seen.token,
            seen.log_count,
            seen.cancel is not None,
        ) == (
            job.state,
            job.org,
            job.priority,
            job.attempts,
            job.made,
            job.stalls,
            job.errors,
            job.code,
            {"a": 1},
            job.token,
            len(job.lines),
            job.cancelled,
        )
        percent, message = job.progress
        percent = 100 if job.state is State.COMPLETED else percent
        assert (seen.progress, seen.progress_message) == (percent, message)
        assert seen.result == job.result

    @rule()
    def walk(self) -> None:
        """Pages by cursor, from both ends, are the whole."""
        for state in (State.WAITING, State.COMPLETED):
            whole = [job.id for job in self.reader.page("q", state).jobs]
            for reverse in (None, True):
                seen, cursor = [], None
                while True:
                    page = self.reader.page("q", state, limit=2, cursor=cursor, reverse=reverse)
                    seen += [job.id for job in page.jobs]
                    cursor = page.next
                    if cursor is None:
                        break
                assert seen == (whole[::-1] if reverse else whole)

    @rule()
    def look_beside(self) -> None:
        """Log lines, marks and checkpoints are there, for each job and for no other."""
        for job in self.model.jobs.values():
            assert self.reader.logs("q", job.id) == (job.lines, len(job.lines))
            assert self.client.smembers(f"t:{{q}}:k:{job.id}") == {m.encode() for m in job.marks}
            assert self.work.checkpointed(job.id) == job.checkpoint

    @rule()
    def verify(self) -> None:
        """Nothing is ever wrong, and a repair changes nothing."""
        assert RecordVerifier(self.redis, "t").verify("q", repair=True).faults == []

    @invariant()
    def nothing_is_left_over(self) -> None:
        assert find_leaks(self.client, "t") == []


@pytest.mark.timeout(300)  # shrinking a failure takes time
def test_any_life(redis_server: Server) -> None:
    SERVER[:] = [redis_server]
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=80,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

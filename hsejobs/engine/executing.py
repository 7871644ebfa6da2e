"""What Huey does for a claimed job, without what no one asked for."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import Any

from huey.api import PeriodicTask, logger
from huey.signals import SIGNAL_COMPLETE, SIGNAL_EXECUTING, SIGNAL_INTERRUPTED
from huey.utils import Error

from hsejobs.engine import payloads
from hsejobs.engine.context import JobContext, running_job
from hsejobs.engine.huey_api import Huey
from hsejobs.engine.outcome import clean_data

_NO_TIMEOUT = contextlib.nullcontext()
#: The receivers of signals as Huey has them at first, and the keys of those that hear of a success, or of a
#: consumer that stops meanwhile.
_NO_RECEIVERS: dict[str, list[Any]] = {"any": []}
_HEAR = ("any", SIGNAL_EXECUTING, SIGNAL_COMPLETE, SIGNAL_INTERRUPTED)


class Executing(Huey):
    """The part of `JobHuey` that runs while a worker executes a job; `outcome` derives how it ended."""

    def execute(self, task: Any, timestamp: Any = None) -> Any:
        """Huey's method: runs a task with its hooks, signals, result and follow-ups."""
        job = running_job()
        if job is None or task is not job.task or not self._is_plain(job, task):
            return super().execute(task, timestamp)
        if task.timeout:
            task._deadline = time.monotonic() + task.timeout
        try:
            value = task.execute()
        except (Exception, KeyboardInterrupt) as error:
            raised = error
        else:
            if value is not None or self.store_none:
                self.put_result(task.id, value)
            return value
        return self._end(job, task, raised)

    def _is_plain(self, job: JobContext, task: Any) -> bool:
        """Whether a success of this job interests no one but the worker: Huey would run it for nothing.

        There is no hook, no receiver of a signal, no log of single jobs, no follow-up, chord or expiry
        (the extras), and no revocation.
        """
        claim, receivers = job._claim, self._signal.receivers
        return (
            not claim.extras
            and not claim.revoked
            and not self._pre_execute
            and not self._post_execute
            and (receivers == _NO_RECEIVERS or not any(map(receivers.get, _HEAR)))
            and self.results
            and not logger.isEnabledFor(logging.INFO)
            and not isinstance(task, PeriodicTask)
        )

    def _end(self, job: JobContext, task: Any, error: BaseException) -> Any:
        """Lets Huey do what it does for a task that ended with this exception."""
        raised_at = error.__traceback__

        def again() -> None:
            raise error

        job.signals |= {SIGNAL_EXECUTING}
        task.execute = again
        try:
            return self._execute(task, self._get_timestamp())
        finally:
            del task.execute
            # Without what was added here.
            error.__traceback__ = raised_at

    # -- what Huey calls meanwhile

    def _emit(self, signal: str, task: Any, *args: Any, **kwargs: Any) -> None:
        job = running_job()
        if job is not None and task is job.task:
            job.signals |= {signal}
        receivers = self._signal.receivers
        if receivers["any"] or receivers.get(signal):
            super()._emit(signal, task, *args, **kwargs)

    def _timeout_context(self, task: Any) -> Any:
        # The maintenance thread enforces deadlines: Huey's timeout is an Exception, which a task can catch.
        return _NO_TIMEOUT

    def put_result(self, key: str, data: Any) -> None:
        """Stores the running job's result in its record; other results (chords, pipelines) separately."""
        job = running_job()
        if job is None or key != job._claim.id:
            if job is not None and isinstance(data, Error):
                data = Error(clean_data(job, data.metadata))
            self.storage.put_data(key, self.serializer.serialize(data), is_result=True)
        elif not isinstance(data, Error):
            job.result = payloads.encode_result(data)

    def delete(self, key: str) -> Any:
        """Huey clears a revocation after each run; without one in the claim, saves the round trip."""
        job = running_job()
        if job is not None and job.task is not None and key == job.task.revoke_id:
            return self.storage.delete_data(key) if job._claim.revoked else False
        return super().delete(key)

    def is_revoked(self, task: Any, timestamp: Any = None, peek: bool = True) -> bool:
        """Whether a task is revoked; for the running job, the claim already has the answer."""
        job = running_job()
        if job is not None and task is job.task and not job._claim.revoked:
            return job.cancelled
        return super().is_revoked(task, timestamp, peek)

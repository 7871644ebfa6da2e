"""A Redis client whose scripts see a stopped clock, so that what they return depends on the data alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hsejobs.store import adds
from hsejobs.store.client import PATIENCE, RedisClient
from hsejobs.store.new_job import NewJob
from hsejobs.store.scripts import ADD, Arg, Script

_CLOCK = "local clock = call('TIME')"


@dataclass(frozen=True)
class _Stopped:
    """A script that does not ask for the time."""

    text: str

    @property
    def sha(self) -> str:
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class StoppedClient(RedisClient):
    """Runs every script at ``now_ms``. Times to live go on."""

    def __init__(self, url: str, now_ms: int) -> None:
        super().__init__(url)
        self.now_ms = now_ms
        self._stopped: dict[str, Any] = {}

    def _stop(self, script: Script) -> Any:
        if script.name not in self._stopped:
            assert _CLOCK in script.text, script.name
            clock = f"local clock = {{ '{self.now_ms // 1000}', '{self.now_ms % 1000 * 1000}' }}"
            self._stopped[script.name] = _Stopped(script.text.replace(_CLOCK, clock))
        return self._stopped[script.name]

    def run(
        self, script: Script, base: str, args: Sequence[Arg] = (), *, patience: float = PATIENCE
    ) -> Any:
        return super().run(
            self._stop(script) if isinstance(script, Script) else script,
            base,
            args,
            patience=patience,
        )

    def add_one(self, base: str, job: NewJob) -> Any:
        return self.run(ADD, base, adds.args((ADD, [job])))

    def batch(
        self,
        calls: Sequence[tuple[Script | None, Sequence[Arg]]],
        *,
        patience: float = PATIENCE,
    ) -> list[Any]:
        stopped = [
            (self._stop(script) if isinstance(script, Script) else script, words)
            for script, words in calls
        ]
        return super().batch(stopped, patience=patience)

"""A queue that accepts anything and repeats it: as progress, log, result and error."""

from __future__ import annotations

import json
from typing import Any

from hsejobs.engine import JobHuey, current_job

huey = JobHuey(
    "hostile",
    attempts=1,
    backoff=0.0,
    enqueue="member",
    log_fields=lambda payload: {"said": payload["say"]},
)


@huey.task()
def say(payload: dict[str, Any]) -> Any:
    job, said = current_job(), payload["say"]
    # Like a task that passes its input on unchanged: lone surrogates, control characters and all.
    text = json.dumps(said, ensure_ascii=False) + "\ud83d\0\x1b]0;x\x07\u202e"
    job.progress(50, text[-150:])
    job.log(text)
    job.log("a\nb\r\n")
    if payload["fail"]:
        raise ValueError(text)
    return {"said": said}


def nested(depth: int) -> Any:
    """Nests lists and objects alternately."""
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


#: Values that an add accepts, by name.
VALUES: dict[str, Any] = {
    "half": {"a": "\ud83d", "\udc00": ["x\udfff\ud800y"]},
    "pair": {"emoji": "\U0001f600", "turned": "\ude00\ud83d"},
    "nul": {"a": "\0", "\0\0": "\0"},
    "control": {"\x1b[2J": "\x1b]0;x\x07\x9b\u202e\u2028\ufeff\uffff", "markup": "[bold]</script>"},
    "number": {"a": 10**400, "b": -(10**400), "c": 1.7e308, "d": 5e-324, "e": -0.0},
    "deep": nested(198),
    "wide": {f"key {n}": n for n in range(5_000)},
    "empty": {"": {"": "", " ": []}, "a": {}, "b": None},
    "long": {"k" * 40_000: "v" * 40_000},
    "secret": {"password": 'pass\ud83d"word', "again": 'pass\ud83d"word'},
}

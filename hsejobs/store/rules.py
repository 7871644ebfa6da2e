"""The rules of turns and limits in Redis, from a queue's description: what the scripts go by."""

from __future__ import annotations

from collections.abc import Iterator

from hsejobs.errors import UnknownTask
from hsejobs.rates import Rate, parse_rate, widened
from hsejobs.store import keys, scripts
from hsejobs.store.client import PATIENCE, RedisClient
from hsejobs.store.description import AGEING_MS, QueueInfo, TaskInfo
from hsejobs.store.registry import Described


def write(
    client: RedisClient, prefix: str, found: Described, *, patience: float = PATIENCE
) -> None:
    """Replaces the rules of a queue by those of its description. Raises RedisUnavailable."""
    info = found.info
    if info is not None:
        words = [word for pair in rules_of(info).items() for word in pair]
        client.run(scripts.RULES, keys.base(prefix, info.name), words, patience=patience)


def rules_of(info: QueueInfo) -> dict[str, str]:
    """The fields of the hash ``share`` with a value: absent ones are the defaults."""
    found = {
        "f": "" if info.fair else "0",
        "l": str(info.limit or ""),
        "r": _pair(parse_rate(info.rate)) if info.rate else "",
        "t": str(info.tenant_limit or ""),
        "g": "" if info.ageing == AGEING_MS else str(info.ageing),
    }
    for task in info.tasks:
        keyed = task.key_limit or task.key_rate
        if keyed:
            rate = _pair(parse_rate(task.key_rate)) if task.key_rate else "- -"
            found[f"k:{task.name}"] = f"{task.key_limit or '-'} {rate}"
        if keyed or task.aliases:
            found.update((f"k:{name}", f">{task.name}") for name in other_names(info, task))
    return {field: value for field, value in found.items() if value}


def _pair(rate: Rate) -> str:
    return f"{rate.most} {widened(1000 * rate.ms) // 1000}"


def other_names(info: QueueInfo, task: TaskInfo) -> Iterator[str]:
    """The former and short names under which jobs run as this task."""
    known = (task.name, *task.aliases)
    for name in dict.fromkeys((*task.aliases, *(one.rpartition(".")[2] for one in known))):
        try:
            if name != task.name and info.task(name) is task:
                yield name
        except UnknownTask:  # it has no short name
            continue

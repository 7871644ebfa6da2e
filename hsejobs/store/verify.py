"""Check every job's record against the indexes, and repair differences.

One script checks and repairs a job atomically, so workers may run meanwhile without being reported as
faults. The walk takes bounded steps: over the indexes, which finds entries without a record, and over
the queue's keys, which finds records without an entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hsejobs.model import State
from hsejobs.store import keys, scripts
from hsejobs.store.client import RedisClient

#: Jobs in one call of the script; keys in one step of a walk.
CHUNK, STEP = 100, 1_000
#: Faults of one queue that are listed with their ids; further ones are only counted.
KEPT = 1_000

#: The faults' descriptions, by code.
FAULTS: dict[str, str] = {
    "no_index": "the job is not in the index of any state",
    "wrong_index": "the job is in the index of a different state than in its record",
    "two_indexes": "the job is in the indexes of several states",
    "organization_index": "the organization's indexes do not agree with the record",
    "no_state": "the record has no valid state",
    "bad_number": "the record has a number that is missing, not finite or out of range",
    "bad_score": "the job's place in its index is not finite or out of range",
    "no_record": "an index names a job that has no record",
    "orphan": "a payload, result, error or log line has no record",
    "unreadable": "the record's key is not a hash: another program wrote it, delete the key",
}

_BESIDE = ("job", "payload", "extras", "result", "errors", "logs", "marks", "checkpoint")
_ID_PREFIXES = tuple(keys.SUFFIXES[name].encode() for name in _BESIDE)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a job; ``repaired``: it was found and has been repaired."""

    queue: str
    job_id: str
    code: str
    repaired: bool

    def public(self) -> dict[str, Any]:
        """The object that the command line shows."""
        return {
            "jobId": self.job_id,
            "fault": self.code,
            "text": FAULTS.get(self.code, self.code),
            "repaired": self.repaired,
        }


@dataclass(slots=True)
class Verified:
    """The result for one queue. ``jobs``: records checked; ``left``: faults that remain."""

    queue: str
    jobs: int = 0
    found: int = 0
    left: int = 0
    faults: list[Fault] = field(default_factory=list)

    def public(self) -> dict[str, Any]:
        """The object that the command line shows."""
        return {
            "queue": self.queue,
            "jobs": self.jobs,
            "found": self.found,
            "repaired": self.found - self.left,
            "left": self.left,
            "faults": [one.public() for one in self.faults],
        }


class RecordVerifier:
    """Checks and repairs records. Creating one does no I/O."""

    def __init__(self, client: RedisClient, prefix: str) -> None:
        self.redis = client
        self.prefix = prefix

    def verify(self, queue: str, *, repair: bool = False, entry: str = "") -> Verified:
        """Checks a whole queue. ``entry``: of a repair, for the audit log. Raises RedisUnavailable."""
        report = Verified(queue)
        seen: set[tuple[str, str]] = set()
        for pairs in self._steps(queue, report):
            for fault in self.check(queue, pairs, repair=repair, entry=entry):
                # The walk finds a job several times: by its record, its payload and its indexes.
                if (fault.job_id, fault.code) in seen:
                    continue
                report.found += 1
                report.left += not fault.repaired
                if len(report.faults) < KEPT:
                    seen.add((fault.job_id, fault.code))
                    report.faults.append(fault)
        return report

    def check(
        self,
        queue: str,
        pairs: Sequence[tuple[str, str]],
        *,
        repair: bool = False,
        entry: str = "",
    ) -> Iterator[Fault]:
        """Checks jobs, given as pairs: an id, and the organization in whose index it was found or ''."""
        for start in range(0, len(pairs), CHUNK):
            chunk = pairs[start : start + CHUNK]
            args: list[scripts.Arg] = [int(repair), entry]
            for pair in chunk:
                args += pair
            replies = self.redis.run(scripts.VERIFY, keys.base(self.prefix, queue), args)
            for (job_id, _), (codes, repaired) in zip(chunk, replies, strict=True):
                for code in codes.decode().split():
                    # A repair removes the entries of such a key, not the key itself.
                    yield Fault(queue, job_id, code, bool(repaired) and code != "unreadable")

    def _steps(self, queue: str, report: Verified) -> Iterator[list[tuple[str, str]]]:
        base = keys.base(self.prefix, queue)
        for state in State:
            for ids in self._members(keys.index(base, state)):
                yield [(job_id, "") for job_id in ids]
        start, org = len(base.encode()), keys.SUFFIXES["org"].encode()
        record = keys.SUFFIXES["job"].encode()
        for found in self.redis.scan(base, STEP):
            rests = [key[start:] for key in found]
            report.jobs += sum(rest.startswith(record) for rest in rests)
            owners = {rest[2:] for rest in rests if rest.startswith(_ID_PREFIXES)}
            yield [(owner.decode("utf-8", "replace"), "") for owner in sorted(owners)]
            for rest in rests:
                if rest.startswith(org):
                    organization = rest[len(org) :].partition(b":")[2].decode()
                    for members in self._members(base + rest.decode()):
                        yield [(job_id, organization) for job_id in members]

    def _members(self, index: str) -> Iterator[list[str]]:
        cursor = b"0"
        while True:
            cursor, found = self.redis.command("ZSCAN", index, cursor, "COUNT", STEP)
            # redis-py's Cluster client converts the flat list to pairs.
            paired = found and isinstance(found[0], tuple)
            members = [pair[0] for pair in found] if paired else found[::2]
            yield [job_id.decode("utf-8", "replace") for job_id in members]
            if int(cursor) == 0:
                return

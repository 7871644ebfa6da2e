"""Any sequence of holds: what is held never starts, and no job is lost."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest

from tests.store.test_held import Pair, Tasks, store

__all__ = ["store"]

#: A task with its key, an organization and a priority: jobs of one line start in their order.
Line = tuple[str, str, int]


class Walk:
    """Adds, claims, ends, removes, holds and lets go at random."""

    def __init__(self, store: Tasks, seed: int) -> None:
        self.store, self.seed, self.random = store, seed, random.Random(seed)
        store.rules(**({"f": "0"} if self.random.random() < 0.5 else {}), **{"k:m.c": "1 - -"})
        self.number = 0
        self.active: list[Pair] = []
        self.left: set[str] = set()
        self.held: set[str] = set()
        self.waiting: dict[Line, list[str]] = defaultdict(list)
        self.lines: dict[str, Line] = {}

    def add(self) -> None:
        choice = self.random.choice
        for _ in range(choice((1, 1, 3, 40))):
            self.number += 1
            task, org, priority = choice("abc"), choice(("", "one", "two")), choice((3, 3, 1))
            name, key = f"{task}{self.number}", choice("xy") if task == "c" else ""
            self.store.put(name, organization_id=org or None, priority=priority, key=key)
            self.lines[name] = (task + key, org, priority)
            self.waiting[self.lines[name]].append(name)
            self.left.add(name)

    def claim(self) -> None:
        for pair in self.store.claim(self.random.choice((1, 3, 9))):
            job = pair[0]
            line = self.waiting[self.lines[job]]
            assert job[0] not in self.held, (self.seed, job, self.held)
            # The order of jobs with a key is the keys' own affair.
            assert line[0] == job or job[0] == "c", (self.seed, job, line[:3])
            line.remove(job)
            self.active.append(pair)

    def end(self) -> None:
        while self.active and self.random.random() < 0.8:
            pair = self.active.pop(self.random.randrange(len(self.active)))
            assert self.store.done(pair) == "c"
            self.left.discard(pair[0])

    def remove(self) -> None:
        waits = [one for line in self.waiting.values() for one in line]
        if waits:
            job = self.random.choice(waits)
            self.store.writer.remove("q", job)
            self.waiting[self.lines[job]].remove(job)
            self.left.discard(job)

    def turn(self) -> None:
        task = self.random.choice("abc")
        act = self.store.free if task in self.held else self.store.hold
        assert act(f"m.{task}")
        self.held.symmetric_difference_update({task})

    def step(self) -> None:
        steps = (self.add, self.claim, self.claim, self.end, self.remove, self.turn)
        self.random.choice(steps)()
        if self.random.random() < 0.1:
            self.store.work.sweep(3)

    def drain(self) -> None:
        for task in sorted(self.held):
            self.store.free(f"m.{task}")
        self.held.clear()
        for _ in range(3 * self.number + 10):
            self.claim()
            self.end()
            self.store.work.sweep(3)
            if not self.left:
                return


@pytest.mark.parametrize("first", [0, 10])
def test_any_sequence_of_holds(store: Tasks, first: int) -> None:
    for seed in range(first, first + 10):
        walk = Walk(store, seed)
        for _ in range(60):
            walk.step()
        assert store.sound(), seed
        walk.drain()
        assert (walk.left, store.sound()) == (set(), True), seed
        assert store.counts()[:3] == [0, 0, 0]
        store.writer.obliterate("q")

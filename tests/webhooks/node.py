"""Real Node: one process that reads lines and answers each with a line."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

from tests.support import skip_or_fail


class Node:
    """A Node process around a function ``answer(input)``, written in JavaScript."""

    def __init__(self, script: str) -> None:
        node = shutil.which("node")
        if node is None:
            skip_or_fail("node is not installed")
        loop = (
            "const lines = require('readline').createInterface({input: process.stdin});"
            "lines.on('line', (line) => {"
            "  let out; try { out = {ok: answer(JSON.parse(line))} }"
            "  catch (error) { out = {error: String(error)} }"
            "  process.stdout.write(JSON.stringify(out) + '\\n')"
            "});"
        )
        self._process = subprocess.Popen(
            [node, "-e", script + "\n" + loop], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def ask(self, question: Any) -> Any:
        """Returns the answer to one input; both are JSON."""
        return self.ask_all([question])[0]

    def ask_all(self, questions: list[Any]) -> list[Any]:
        """Returns the answers to several inputs."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        found = []
        for start in range(0, len(questions), 50):
            part = questions[start : start + 50]
            for one in part:
                self._process.stdin.write(json.dumps(one).encode() + b"\n")
                self._process.stdin.flush()
                reply = json.loads(self._process.stdout.readline())
                if "error" in reply:
                    raise AssertionError(f"node: {reply['error']}")
                found.append(reply["ok"])
        return found

    def close(self) -> None:
        self._process.communicate(timeout=10)

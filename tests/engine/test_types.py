"""What a type checker says of small programs, under ``mypy --strict``.

A line's comment is what mypy must say there: ``# type is`` what ``reveal_type`` shows, ``# error:``
a part of the message. mypy says nothing of any other line.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
HEAD = """
from __future__ import annotations

from typing import Any, TypedDict

from pydantic import BaseModel

from hsejobs.engine import Job, JobHuey, crontab, current_job, follow_up

huey = JobHuey("typed", attempts=3)


class Pay(BaseModel):
    cents: int


class Other(BaseModel):
    cents: int


class Row(TypedDict):
    cents: int
"""
PROGRAMS = {
    "models": """
@huey.task()
def pay(payload: Pay) -> str:
    return f"{current_job().id} {payload.cents}"

reveal_type(pay)  # type is JobTaskWrapper[[payload: Pay], str]
reveal_type(pay.add(Pay(cents=1)))  # type is Job[str]
reveal_type(pay.add(Pay(cents=1), priority=1, delay=2.5, job_id="a").wait(timeout=3))  # type is str
pay.add({"cents": 1})
pay.add(payload={"cents": 1}, organization_id="org-1")
pay.add(Other(cents=1))  # error: incompatible type "Other"; expected "Pay | Mapping[str, Any] | None"
pay.add("cents")  # error: incompatible type "str"
pay.add(Pay(cents=1), priorty=1)  # error: Unexpected keyword argument "priorty"
pay.add(Pay(cents=1), delay="soon")  # error: Argument "delay"

def queue_pay(payload: Any, **options: Any) -> Job[str]:
    return pay.add(payload, **options)
""",
    "many": """
@huey.task(retries=2, timeout=3.0)
def pay(payload: Pay, times: int = 1) -> list[int]:
    return [payload.cents] * times

reveal_type(pay.add_many([Pay(cents=1), {"cents": 2}]))  # type is list[Job[list[int]]]
reveal_type(pay.add_many([Pay(cents=1)], ids=["a"], priority=1)[0].wait())  # type is list[int]
pay.add_many([Other(cents=1)])  # error: incompatible type "Other"
pay.add_many([Pay(cents=1)], job_id="a")  # error: Unexpected keyword argument "job_id"
""",
    "other_payloads": """
@huey.task()
def row(payload: Row) -> int:
    return payload["cents"]

@huey.task()
def anything(payload: dict[str, Any]) -> None: ...

@huey.task()
def nothing() -> float:
    return 0.5

@huey.periodic_task(crontab(minute="0"))
def hourly() -> dict[str, int]:
    return {}

reveal_type(row.add({"cents": 1}).wait())  # type is int
row.add({"cents": "one"})  # error: TypedDict item "cents" has type "int"
row.add({"cent": 1})  # error: Missing key "cents"
row.add()  # error: Missing positional argument "payload"
anything.add({"n": 1})
anything.add(Pay(cents=1))  # error: incompatible type "Pay"; expected "dict[str, Any]"
reveal_type(nothing.add().wait())  # type is float
nothing.add(Pay(cents=1))  # error: incompatible type "Pay"; expected "Mapping[str, Any] | None"
reveal_type(hourly.add({}).wait())  # type is dict[str, int]
""",
    "as_functions": """
@huey.task()
@huey.lock_task("one")
def add(a: int, b: int = 1) -> int:
    return a + b

@huey.signal("error")
def on_error(signal: str, task: Any) -> None: ...

reveal_type(add)  # type is JobTaskWrapper[[a: int, b: int =], int]
reveal_type(add.call_local(1, b=2))  # type is int
add(1, b=2)
add("1")  # error: incompatible type "str"; expected "int"
add(1, c=2)  # error: Unexpected keyword argument "c"
add.call_local()  # error: Missing positional argument "a"
""",
    "handles": """
def by_name(job: Job) -> None:
    reveal_type(job.wait())  # type is Any

reveal_type(huey.submit({}, task="pay", priority=1))  # type is Job[Any]
reveal_type(follow_up("email", {}, key="notify"))  # type is Job[Any]
huey.submit({}, prio=1)  # error: Unexpected keyword argument "prio"
JobHuey("typed", attemps=3)  # error: Unexpected keyword argument "attemps"
JobHuey("typed", workers=3)  # error: incompatible type "int"; expected "str"
""",
}
PROGRAMS["application"] = """
from tasks import queue_email, queue_webhook
from tasks.email import EmailPayload

mail = EmailPayload(to=["ann@example.com"], subject="Hi", text="Hi")
reveal_type(queue_email(mail, priority=1))  # type is Job[dict[str, Any]]
reveal_type(queue_email({"to": "ann@example.com"}).wait())  # type is dict[str, Any]
queue_webhook(mail)  # error: incompatible type "EmailPayload"
queue_email(mail, prio=1)  # error: Unexpected keyword argument "prio"
"""
CONFIG = f"""
[mypy]
strict = true
python_version = 3.11
mypy_path = {ROOT}
follow_imports = silent
"""


def expected(text: str) -> dict[int, tuple[str, str]]:
    """By line: the type that is shown there, or a part of the error."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        comment = re.search(r"  # (type is|error:) (.*)", line)
        if comment is not None:
            found[number] = (comment[1], comment[2])
    return found


def said(output: str, program: str) -> dict[int, str]:
    """By line: what mypy says there; types without the names of their modules."""
    found: dict[int, str] = {}
    pattern = rf"{program}\.py:(\d+): (?:error: (.*)|note: Revealed type is \"(.*)\")"
    for number, error, shown in re.findall(pattern, output):
        text = error or re.sub(r"\b(?:\w+\.)+(?=[A-Za-z])", "", shown)
        found[int(number)] = f"{found.get(int(number), '')}{text}"
    return found


def run_mypy(folder: Path, cache: Path) -> str:
    """What mypy says of all programs; what it learned of our modules is kept for the next run."""
    for name, text in PROGRAMS.items():
        (folder / f"{name}.py").write_text(HEAD + text)
    (folder / "mypy.ini").write_text(CONFIG)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", str(cache), "."],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_mypy_says_this_and_no_more(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """One test, because one process looks at all programs."""
    assert pytestconfig.cache is not None
    output = run_mypy(tmp_path, pytestconfig.cache.mkdir("mypy"))
    for program, text in PROGRAMS.items():
        wanted, found = expected(HEAD + text), said(output, program)
        assert found.keys() == wanted.keys(), (program, found)
        for line, (kind, words) in wanted.items():
            place = f"{program}, line {line}"
            if kind == "type is":
                assert found[line] == words, place
            else:
                assert words in found[line], place

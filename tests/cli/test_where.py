"""`--where` on the command line: lists, formats, acts and refusals."""

from __future__ import annotations

import csv
import io
import json

from tests.cli.test_commands import MAIL, document, run


def test_filters_on_the_command_line(redis_url: str) -> None:
    for name in ("a1", "a2", "b1"):
        org = "org-7" if name != "a2" else "org-70"
        run("enqueue", "email", MAIL, "--id", name, "--delay", "600", "--org", org)
    listed = document("jobs", "email", "--where", "id~a org=org-7")
    assert (listed["status"], listed["total"], listed["jobs"][0]["id"]) == (None, 1, "a1")
    find = ("jobs", "email", "--where")
    text = run(*find, "user@", "--all", "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [one["id"] for one in rows] == ["a1", "a2", "b1"]
    lines = run(*find, "user@", "--all", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["a1", "a2", "b1"]
    assert json.loads(lines[0]) == document("job", "email", "a1")
    assert document(*find, "user@", "--all")["total"] == 3
    table = run(*find, "user@", "--all").stdout
    assert table.splitlines()[-1] == "3 jobs"
    wrong = run(*find, "orgg=1")
    assert wrong.returncode == 2
    assert "unknown field orgg; use id, name, error" in wrong.stderr
    dry = document("cancel", "email", "--where", "org=org-7", "--dry-run")
    assert dry == {"matched": 2, "done": 0, "refused": []}
    assert run("cancel", "email", "--where", "org=org-7").returncode == 2
    done = document("cancel", "email", "--where", "org=org-7", "--reason", "late", "--yes")
    assert done == {"matched": 2, "done": 2, "refused": []}
    assert document("promote", "email", "--where", "id=a2")["done"] == 1
    assert run("retry", "email", "--where", "error~late").stdout == "retried 2 of 2\n"
    removal = ("remove", "email", "--where", "id~a", "--status", "waiting", "--yes")
    assert document(*removal)["done"] == 2
    assert [one["id"] for one in document("jobs", "email")["jobs"]] == ["b1"]
    refused = ("retry email b1 --dry-run", "remove email", "cancel email b1 --where x")
    for words in map(str.split, refused):
        assert run(*words).returncode == 2

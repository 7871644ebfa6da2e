"""The language check finds each word of its list, names the place and the word to use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.language import EXEMPT, ROOT, RULES, findings, main, sources

#: A line for each rule that it must find, and the part of the line that is reported.
EXAMPLES = {
    "artifact": ("an artefact", "artefact"),
    "authoriz": ("is not authorised", "authoris"),
    "behavior": ("its Behaviours", "Behaviour"),
    "catalog": ("a catalogue", "catalogue"),
    "center": ("the centre", "centre"),
    "color": ("FEW_COLOURS = 16", "COLOUR"),
    "favor": ("a favourite", "favour"),
    "honor": ("is honoured", "honour"),
    "initializ": ("initialised", "initialis"),
    "judgment": ("a judgement", "judgement"),
    "label": ("labelled", "labell"),
    "license": ("a licence", "licence"),
    "model": ("modelling", "modell"),
    "neighbor": ("its neighbour", "neighbour"),
    "normaliz": ("normalisation", "normalis"),
    "optimiz": ("optimise", "optimis"),
    "organiz": ("organisation_id", "organis"),
    "recogniz": ("recognises", "recognis"),
    "serializ": ("def serialise():", "serialis"),
    "signal": ("signalled", "signall"),
    "summariz": ("summarise", "summaris"),
    "synchroniz": ("synchronisation", "synchronis"),
    "while": ("whilst", "whilst"),
    "failed job": ("the dead-letter queue", "dead-letter"),
    "recipient": ("the mail's receivers", "mail's receivers"),
    "timeout": ("after a time-out", "time-out"),
    "available": ("no server is to be had", "to be had"),
    "is not valid JSON": ("the body is no JSON", "is no JSON"),
    "none": ("none at all", "none at all"),
    "holds": ("the jobs in its hands", "in its hands"),
    "unchanged": ("if it is as it was seen", "as it was seen"),
    "forever": ("def test_kept_for_ever() -> None:", "for_ever"),
    "now": ("is ended here and now", "here and now"),
    "objects to": ("no reader minds the field", "minds "),
    "gets": ("def test_a_worker_is_told_of_it() -> None:", "is_told"),
    "again": ("begins anew", "anew"),
    "what exists": ("shows what is there", "what is there"),
    "permanently": ("fails for good", "for good"),
    "is in": ("what lies in Redis", "lies in"),
    "that many": ("of so many jobs", "so many"),
    "the user who": ("# Whoever adds a job", "Whoever"),
    "no one": ("def test_nobody_waits() -> None:", "nobody"),
}
#: Lines with words that resemble those of the list.
ALLOWED = (
    "an organism, organizations; optimism, an optimist, a signal; all labels; modeled; recenter\n"
    "for every job, for good reason; cannot be told apart; it told them; calls that time out; minds\n"
    "so many jobs that the queue is full; user 'nobody', \"nobody\" and `nobody`; the file lies elsewhere\n"
)


def test_the_project_has_no_finding() -> None:
    assert findings() == []


def test_the_check_reads_code_messages_and_documents() -> None:
    paths = {path.relative_to(ROOT).as_posix() for path in sources(ROOT)}
    assert paths >= {
        "Makefile",
        "README.md",
        "docs/glossary.md",
        "hsejobs/errors.py",
        "hsejobs/store/lua/add.lua",
        "hsejobs_tui/app.tcss",
        "pyproject.toml",
        "tests/conftest.py",
    }
    assert not any(".venv/" in path or "__snapshots__" in path for path in paths)
    assert all((ROOT / name).is_file() for name in EXEMPT)


def test_every_rule_has_an_example() -> None:
    assert sorted(EXAMPLES) == sorted(use for _, use in RULES)


@pytest.mark.parametrize("use", EXAMPLES)
def test_a_word_of_the_list_is_found(use: str, tmp_path: Path) -> None:
    line, found = EXAMPLES[use]
    path = tmp_path / "docs" / "page.md"
    path.parent.mkdir()
    path.write_text(f"# A page\n\n{line}\n{ALLOWED}", "utf-8")
    assert findings(tmp_path) == [f'docs/page.md:3: "{found}", use "{use}"']


def test_history_snapshots_and_other_people_s_files_are_exempt(tmp_path: Path) -> None:
    for name in ("CHANGELOG.md", "tests/__snapshots__/a.md", "node_modules/a.js", ".venv/a.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("colour\n", "utf-8")
    assert findings(tmp_path) == []


def test_the_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tmp_path) == 0
    (tmp_path / "a.py").write_text("x = 1\n\n# its colour\n", "utf-8")
    assert main(tmp_path) == 1
    assert capsys.readouterr().out == 'a.py:3: "colour", use "color"\n'


def test_make_check_runs_it() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "check: lint types imports language\n" in makefile
    assert "-m tests.language\n" in makefile
    command = [sys.executable, "-m", "tests.language"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0

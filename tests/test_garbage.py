"""The search for garbage is paused only where it was on, and what stays is left out of later searches."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest

from hsejobs.garbage import not_sought


def test_it_is_searched_again_afterwards_also_after_an_error() -> None:
    usual = gc.get_threshold()
    try:
        with not_sought():
            paused = gc.get_threshold()[0]
            assert paused > 1_000_000
            with not_sought():
                pass
            # The one around it has not ended.
            assert gc.get_threshold()[0] == paused
            raise KeyError
    except KeyError:
        assert gc.get_threshold() == usual


@pytest.mark.parametrize("chosen", [0, 5_000])
def test_what_is_imported_may_choose_for_itself(chosen: int) -> None:
    usual = gc.get_threshold()
    try:
        with not_sought():
            gc.set_threshold(chosen)
            gc.disable()
        assert gc.get_threshold()[0] == chosen
        assert not gc.isenabled()
    finally:
        gc.enable()
        gc.set_threshold(*usual)


def test_a_process_that_is_forked_meanwhile_searches() -> None:
    usual = gc.get_threshold()[0]
    with not_sought():
        if (child := os.fork()) == 0:
            os._exit(gc.get_threshold()[0] != usual)
        assert os.waitpid(child, 0)[1] == 0
        assert gc.get_threshold()[0] != usual


def test_a_command_imports_without_it_and_runs_with_it() -> None:
    code = """if True:
        import gc, os, sys
        from hsejobs_cli import main

        def end(status):
            stays = gc.get_freeze_count() > 10_000
            print(status, gc.get_threshold()[0] == usual, stays, len(searches), flush=True)
            os._exit(0)

        sys.argv, sys.exit, searches = ["hsejobs", "--version"], end, []
        usual = gc.get_threshold()[0]
        gc.callbacks.append(lambda phase, info: searches.append(phase))
        main.main()
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *_, status, searched, stays, searches = done.stdout.split()
    assert (status, searched, stays) == ("0", "True", "True")
    # With it, there are hundreds.
    assert int(searches) < 40

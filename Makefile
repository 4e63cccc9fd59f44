PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check

# Stamps: a part is installed again only when something it is made from is newer than its stamp.
MADE := $(VENV)/.made
RUN := $(VENV)/.run
TEST := $(VENV)/.test
LINT := $(VENV)/.lint
FUZZ := $(VENV)/.fuzz
BENCH := $(VENV)/.bench
PEER := $(VENV)/peer
SBOM := $(VENV)/.sbom

unexport PYTHONDONTWRITEBYTECODE # where it is set, each start would compile all of the source anew

.DEFAULT_GOAL := help
.NOTPARALLEL: # one pip at a time in one .venv
.PHONY: help install dev run test test-long test-deploy test-browser soak bench lint types layers check format lock sbom security-table

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(RUN) ## Install the service into .venv (PYTHON=python3.12 chooses the Python)

run: $(RUN) ## Install, then start the service
	@$(BIN)/leadintake serve

dev: $(RUN) $(TEST) $(LINT) ## Install what the tests and checks need too

test: $(RUN) $(TEST) ## Run the tests but those that take long (ARGS='-k reference' chooses some)
	@$(BIN)/python -m pytest -n auto --dist worksteal -m 'not long' $(ARGS)

test-long: $(RUN) $(TEST) ## Run the tests that take long
	@$(BIN)/python -m pytest -n auto --dist worksteal -m long $(ARGS)

test-deploy: $(RUN) $(TEST) ## Run the tests of deploy/nginx.conf (nginx has to be installed)
	@$(BIN)/python -m pytest tests/deploy $(ARGS)

test-browser: $(RUN) $(TEST) ## Run the tests of the pages (Chromium has to be installed)
	@$(BIN)/python -m pytest -n 2 --dist worksteal tests/browser $(ARGS)

soak: $(RUN) $(TEST) $(FUZZ) ## Test the promises of docs/reliability.md for more than half an hour (ARGS=--quick for a short form)
	@$(BIN)/python -m pytest -s --tb=short --show-capture=no --basetemp="$$(mktemp -d -t leadintake-soak-XXXXXX)" \
		-o tmp_path_retention_policy=failed tests/soak $(ARGS)

bench: $(RUN) $(TEST) $(BENCH) $(PEER)/.made ## Measure against a peer and the machine for 22 minutes (ARGS=--quick for a short form)
	@$(BIN)/python -m benchmarks $(ARGS)

lint: $(LINT) ## Check style, format and the length of each source file
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --quiet --check || { echo 'Not formatted: run make format' >&2; exit 1; }
	@find src -name '*.py' -exec awk 'FNR == 251 { print FILENAME ": over 250 lines"; long = 1 } END { exit long }' {} +

types: dev ## Check types
	@$(BIN)/mypy

layers: $(RUN) $(LINT) ## Check which layer imports which
	@$(BIN)/lint-imports --no-logo

check: lint types layers test test-long ## Lint, types, layers, test and test-long: what must pass

format: $(LINT) ## Repair style and format, as far as ruff can
	@$(BIN)/ruff check --quiet --fix-only
	@$(BIN)/ruff format --quiet

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $(UPGRADE)

lock: $(MADE) ## Lock the dependencies of pyproject.toml (UPGRADE=--upgrade takes the newest)
	@$(PIP) uv
	@$(COMPILE) pyproject.toml -o requirements/run.txt
	@$(COMPILE) --group build -c requirements/run.txt -o requirements/build.txt
	@$(COMPILE) --group test -c requirements/run.txt -c requirements/build.txt -o requirements/test.txt
	@$(COMPILE) --group lint -c requirements/run.txt -c requirements/build.txt -c requirements/test.txt -o requirements/lint.txt
	@$(COMPILE) --group fuzz -c requirements/run.txt -c requirements/test.txt -o requirements/fuzz.txt
	@$(COMPILE) --group bench -c requirements/run.txt -c requirements/test.txt -o requirements/bench.txt
	@$(COMPILE) --group peer -c requirements/run.txt -c requirements/test.txt -o requirements/peer.txt
	@$(COMPILE) --group sbom -c requirements/run.txt -c requirements/build.txt -c requirements/test.txt -c requirements/lint.txt \
		-o requirements/sbom.txt
	@! grep -nE '://|^ *--(index|extra-index|find-links|trusted-host)' requirements/*.txt

sbom: $(SBOM) ## List what is locked for the service in dist/sbom.json (CycloneDX)
	@mkdir -p dist
	@$(BIN)/python -W ignore::UserWarning -m cyclonedx_py requirements requirements/run.txt --pyproject pyproject.toml \
		--output-reproducible --output-format JSON --output-file dist/sbom.json

security-table: $(RUN) $(TEST) ## Write into docs/security.md which tests prove its rows
	@$(BIN)/python -m tests.security_page

$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'leadintake needs Python 3.11 or newer. Name one: make run PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(RUN): $(MADE) requirements/run.txt requirements/build.txt pyproject.toml src/leadintake/__init__.py
	@echo 'Installing leadintake into $(VENV) ...'
	@$(PIP) --require-hashes -r requirements/run.txt -r requirements/build.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(TEST) $(LINT) $(FUZZ) $(BENCH) $(SBOM): $(VENV)/.%: requirements/%.txt $(MADE)
	@echo 'Installing $< ...'
	@$(PIP) --require-hashes -r $<
	@touch $@

# In an environment of its own: Litestar imports pydantic where it finds it, and the service has none.
$(PEER)/.made: $(MADE) requirements/peer.txt
	@echo 'Installing the peer into $(PEER) ...'
	@$(PYTHON) -m venv --clear $(PEER)
	@$(PEER)/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/peer.txt
	@touch $@

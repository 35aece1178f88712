# What one can do here, on a machine that has python3 (3.11 to 3.13) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes
# Production's settings with nothing real in them, for Django's own check of them.
PRODUCTION := DEBUG=false SECRET_KEY=an-example-of-sixty-characters-that-is-long-enough-for-the-check-5u8 \
	ALLOWED_HOSTS=claude.example.org ANTHROPIC_API_KEY=example

.DEFAULT_GOAL := help
.PHONY: help run test test-live lint types tests coverage lock format bench chaos clean

help:  ## list what one can do here
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "claudeapp needs Python 3.11, 3.12 or 3.13; set PYTHON to one of them.")'
	@$(PYTHON) -m venv $(VENV) || { echo "claudeapp: python3 cannot make a virtual environment here; install its venv package (on Debian: python3-venv)."; rm -rf $(VENV); exit 1; }

$(VENV)/.base: requirements/base.txt | $(BIN)/python
	@echo "Installing what claudeapp needs …"
	@$(PIP) -r requirements/base.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt | $(BIN)/python
	@echo "Installing what the tests need …"
	@$(PIP) -r requirements/dev.txt
	@touch $@ $(VENV)/.base

run: $(VENV)/.base  ## run everything on this machine; PORT=8000
	@test -f .env || cp .env.development .env
	@exec $(BIN)/python manage.py run

test: lint types tests  ## what CI runs: lint, types, import rules, migrations, all tests

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	DEBUG=true $(BIN)/python manage.py makemigrations --check --dry-run
	$(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING

types: $(VENV)/.dev
	DEBUG=true $(BIN)/mypy claudeapp core tests manage.py

# Both databases at once: much of a test's time is waiting, for a browser, a worker, a second that has to pass.
# What knows no database is tested once.
tests: $(VENV)/.dev
	@sh tests/install_parts.sh
	@mkdir -p var
	@TEST_DATABASE=postgres $(BIN)/python -m pytest --ignore=tests/simulator --ignore=tests/start \
		> var/tests-postgres.log 2>&1 & postgres=$$!; \
	TEST_DATABASE=sqlite $(BIN)/python -m pytest; sqlite=$$?; \
	wait $$postgres; status=$$?; \
	echo "The same on PostgreSQL:"; \
	if [ $$status = 0 ]; then tail -n 8 var/tests-postgres.log; else cat var/tests-postgres.log; fi; \
	exit $$((sqlite + status))

coverage: $(VENV)/.dev  ## which lines no test reaches, on SQLite
	TEST_DATABASE=sqlite $(BIN)/python -m pytest --cov=core --cov=claudeapp --cov-branch --cov-report=term:skip-covered

test-live: $(VENV)/.dev  ## the contract tests against the real Claude API (needs ANTHROPIC_API_KEY; under one cent)
	$(BIN)/python -m tests.contract.live

bench: $(VENV)/.dev  ## measure everything at its full size (an hour, 15 GB); runs all parts, ends with 1 where one missed its bound
	@$(BIN)/python -m tests.bench all

chaos: $(VENV)/.dev  ## 2,000 calls and a table of 5,000 rows while all processes are killed, then 1,000 through a narrow gate; SEED=1
	$(BIN)/python -m tests.chaos storm --calls 2000 --blows 40 --seed $(or $(SEED),1)
	$(BIN)/python -m tests.chaos table --rows 5000 --seed $(or $(SEED),1)
	$(BIN)/python -m tests.chaos gate --calls 1000 --per-minute 60

format: $(VENV)/.dev  ## put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(BIN)/python  ## pin the newest allowed versions anew, with hashes
	$(BIN)/pip install --quiet uv
	for name in base prod dev; do \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
			$$( [ $$name = base ] || echo --constraints requirements/base.txt ) \
			requirements/$$name.in --output-file requirements/$$name.txt || exit 1; \
	done

clean:  ## remove what was installed; keeps var/, which holds the data
	rm -rf $(VENV) staticfiles .mypy_cache .ruff_cache .pytest_cache .coverage

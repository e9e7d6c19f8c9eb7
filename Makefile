# Everything Rollcall needs on a fresh machine is Python 3.11 or newer and make.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help install demo demo-report screenshots test test-journeys test-faults bench bench-compare bench-pages bench-load bench-shards lint format messages docs lock clean

help: ## explain every target
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: .venv/installed ## set everything up in .venv

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Rollcall needs Python 3.11 or newer; run: make PYTHON=python3.11 install")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: install ## play two nights over the sample districts, print the SIS sync report and open it once
	@$(BIN)/python -m sandbox.demo

demo-report: install ## play the demo, then serve the report and print links to sign in, until Ctrl-C
	@$(BIN)/python -m sandbox.demo --serve

screenshots: install ## take the documentation's pictures, of the report and of Prefect, with Chromium
	@$(BIN)/python -m tests.report.screenshots
	@$(BIN)/python -m tests.journeys.seven_am

test: install ## run all tests but the slow ones, on SQLite and on PostgreSQL
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not journeys and not faults"

test-journeys: install ## run what is slow by nature: several processes, servers, workers, kills, walks of many nights
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m journeys

test-faults: install ## kill runs at every step, on PostgreSQL and under Prefect too
	$(BIN)/python -m pytest -m faults

bench: install .venv-peer/installed ## measure nights, with floors and dlt beside them; SIZE=small, district or city
	@$(BIN)/python -m tests.bench $(SIZE)

bench-compare: install ## show two results of make bench side by side: OLD=FILE NEW=FILE
	@$(BIN)/python -m tests.bench.compare $(OLD) $(NEW)

bench-pages: install ## measure the report's pages while 50 people read and a night runs; SIZE=town or city
	@$(BIN)/python -m tests.bench.pages $(SIZE)

bench-shards: install ## measure a night of many districts on two workers, one of them killed; DISTRICTS=1000
	@$(BIN)/python -m tests.bench.shards $(DISTRICTS)

bench-load: install ## measure a night that 50 people watch and in which PostgreSQL is killed; SIZE=small or district
	@$(BIN)/python -m tests.bench.load $(SIZE)

.venv-peer/installed: requirements-peer.lock
	$(PYTHON) -m venv .venv-peer
	.venv-peer/bin/python -m pip install --quiet --require-hashes --no-deps -r requirements-peer.lock
	@touch $@

lint: install ## check style, types and import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## bring the code into its style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

messages: install ## collect the report's texts, and add those that are new to report/locale/*.po
	@texts=$$(mktemp) && cd report && ../$(BIN)/pybabel -q extract --mapping-file babel.cfg --keyword marked --no-location \
		--sort-output --output-file $$texts . && for file in locale/*.po; do \
		../$(BIN)/pybabel -q update --input-file $$texts --output-file $$file --locale $$(basename $$file .po) \
		--no-fuzzy-matching --no-wrap --ignore-obsolete --ignore-pot-creation-date; done; rm -f $$texts

docs: install ## write the reference pages from the code
	@$(BIN)/python -m cli.reference

lock: ## pin every dependency again, for all systems and Python 3.11 and up
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra s3 --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-header --quiet --output-file requirements.lock
	$(BIN)/uv pip compile --group peer --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-header --quiet --output-file requirements-peer.lock

clean: ## remove what was installed and made here
	rm -rf .venv .venv-peer .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

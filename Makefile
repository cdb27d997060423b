# Everything a developer or a newcomer types. The work is done by scripts/, which can be called
# directly as well; no path is ever written out here, so that a checkout may lie anywhere.

PLAN ?= plans/quick.toml
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench lock clean

help: ## show this list
	@echo "deduplab: where redundant bytes go in systems that hold data, and what a copy costs"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "First time here: make demo. Settings go behind: make setup PYTHON=/path/to/python3,"
	@echo "make demo PLAN=my.toml ARGS='--scale 10', make test REQUIRE=postgresql,duckdb"

setup: ## build .venv with pinned dependencies, so that .venv/bin/deduplab works
	@sh scripts/setup.sh run

demo: setup ## set up, measure the systems of plans/quick.toml, and write the report (5 minutes)
	@.venv/bin/deduplab run "$(PLAN)" $(ARGS)

test: ## set up, then lint, types, import rules and all tests; ends with a count of them
	@sh scripts/test.sh $(ARGS)

bench: ## set up, then compare with other tools' speed, benchmark by benchmark
	@sh scripts/bench.sh $(ARGS)

lock: setup ## recompile requirements/*.txt from pyproject.toml (ARGS=--upgrade for newer versions)
	@sh scripts/lock.sh $(ARGS)

clean: ## remove .venv and all caches (results in runs/ stay)
	@rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist
	@find . -path ./runs -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

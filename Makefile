# Every target sets up what it needs first; `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export PYTHON

ENV := . tools/env.sh &&

.PHONY: help demo test check fmt bench bench-peers test-sol test-e2e setup clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-12s%s\n", $$1, $$2 }' Makefile

demo: setup ## run a whole federation on real data over Anvil (ARGS="--rounds 3")
	@$(ENV) exec flchain demo $(ARGS)

test: ## run every test and print one summary
	@bash tools/setup.sh --with-kubo
	@$(ENV) python tools/run_tests.py $(ARGS)

check: ## lint, types, architecture and house rules
	@bash tools/setup.sh --no-contracts
	@$(ENV) bash tools/check.sh

fmt: ## format Python and Solidity
	@bash tools/setup.sh --no-contracts
	@$(ENV) ruff check --quiet --fix-only . && ruff format . && forge fmt

bench: setup ## run every benchmark; tables go to the screen, results to benchmarks/results
	@$(ENV) for script in $$(grep -ls __main__ benchmarks/*.py); do echo "== $$script"; python "$$script" $(ARGS); done

bench-peers: setup ## make the environments of the libraries that benchmarks compare with
	@bash tools/peers.sh flwr

test-sol: setup ## Solidity tests only
	@$(ENV) python tools/run_tests.py solidity ape

test-e2e: ## end-to-end tests only
	@bash tools/setup.sh --with-kubo
	@$(ENV) python tools/run_tests.py e2e

setup: ## install and compile what is missing or out of date
	@bash tools/setup.sh

clean: ## remove everything that the targets made
	rm -rf .venv node_modules .solcx .ape-data .build build dist contracts/.cache
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	find flchain tests tools benchmarks scripts -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

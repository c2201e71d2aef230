# `make` alone says what there is. The work is done by the scripts in .ci/.
SHELL := /bin/bash
BIN := .venv/bin
PYTEST_ARGS ?=

.PHONY: help venv demo test test-guest chaos check bench bench-tui screenshots clean

help: ## Say what there is (the default)
	@echo "pyctr-tui: a terminal container manager that is its own engine"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

venv: ## Set up .venv with the program and its tools; as root, install the Debian packages it needs
	@.ci/debian run
	@.ci/venv

demo: venv ## Set everything up and bring up stacks/hello.yaml, offline, from the built-in image
	@.ci/demo

test: venv ## Set everything up, check the code, and run all tests (arguments for pytest: PYTEST_ARGS)
	@.ci/debian test guest screenshots
	@$(MAKE) --no-print-directory check
	@echo "Running the tests"
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

test-guest: venv ## Run the kernel's tests in virtual machines: systemd and cgroup v2, a reboot, every layout of cgroups
	@.ci/debian test guest
	@PYCTR_GUEST=all $(BIN)/python -m pytest tests/guest $(PYTEST_ARGS)

chaos: venv ## Kill, or deny the disk to, every step that writes; many processes at once, for longer than the tests do
	@PYCTR_CHAOS=all $(BIN)/python -m pytest tests/engine/tidy $(PYTEST_ARGS)

check: venv ## Lint, formatting, types, and the floors between the rooms
	@echo "Checking: ruff, mypy --strict, import-linter"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: venv ## Measure starts, exec, commits, memory and the first paint, beside the bare kernel, docker and podman
	@$(BIN)/python -m tests.bench

bench-tui: venv ## Measure how the interface feels on a real pseudo-terminal: keys, bytes, processor, memory
	@$(BIN)/python -m tests.bench.tui

screenshots: venv ## Take the README's screenshots from a real session, and record the tour
	@.ci/debian test screenshots
	@$(BIN)/python -m screenshots.take
	@$(BIN)/python -m screenshots.tour

clean: ## Remove .venv and caches; containers and images stay
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

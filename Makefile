# Everything a checkout needs: `make` prints what there is.
PYTHON = .venv/bin/python
# One more than there are cores: tests of real processes spend much of their time waiting.
TEST_PROCESSES = $(shell echo $$(($$(nproc) + 1)))
# Tests start hundreds of processes; without compiled modules each would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL = help
.PHONY: help run test test-setup lint bench bench-categories bench-visits bench-soak bench-restarts bench-workers bench-asking bench-evasion clean lock

help:
	@echo "make run         start the demo town on this machine (make run ARGS=\"--proxy 127.0.0.1:3128\")"
	@echo "make test        lint, types, import contracts, and every test with coverage"
	@echo "make test-setup  install the Debian packages that the full tests need (as root)"
	@echo "make lint        ruff, mypy and the import contracts only"
	@echo "make bench       measure Towngate beside a stock mitmdump, squid, squidGuard and e2guardian"
	@echo "make bench-categories  measure the category lists at full scale, beside squidGuard"
	@echo "make bench-visits  measure the visit log with ten million visits (takes an hour)"
	@echo "make bench-soak  see whether memory grows with what a worker has done (takes an hour)"
	@echo "make bench-restarts  restart and kill workers under load, and count what fails (takes half an hour)"
	@echo "make bench-workers  see what a second worker costs and gives, and what people notice of changes"
	@echo "make bench-asking  decide a thousand requests at once, and under kills; what a head waits for"
	@echo "make bench-evasion  try the ways around a filter, beside a stock mitmdump and squid (as root)"
	@echo "make clean       remove what the others have made: .venv, var/ (the demo town's state), caches"

# Made anew only when what it is made from has changed.
.venv/made: deploy/requirements/dev.txt pyproject.toml
	@deploy/dev/make-venv
	@touch $@

run: .venv/made
	@exec .venv/bin/towngate run --demo --state var $(ARGS)

test: .venv/made
	@deploy/dev/debian-packages --if-allowed
	@$(MAKE) --no-print-directory lint
	@$(PYTHON) -m pytest $(or $(ARGS),--numprocesses=$(TEST_PROCESSES) --dist=loadfile --no-loadscope-reorder --cov=policy --cov=categories)

test-setup:
	@deploy/dev/debian-packages

lint: .venv/made
	@$(PYTHON) -m ruff check
	@$(PYTHON) -m ruff format --check
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports

bench: .venv/made
	@$(PYTHON) -m tests.benchmarks $(ARGS)

bench-categories: .venv/made
	@$(PYTHON) -m tests.benchmarks.categories

bench-visits: .venv/made
	@$(PYTHON) -m tests.benchmarks.visits $(ARGS)

bench-soak: .venv/made
	@$(PYTHON) -m tests.benchmarks.soak $(ARGS)

bench-restarts: .venv/made
	@$(PYTHON) -m tests.benchmarks.restarts $(ARGS)

bench-workers: .venv/made
	@$(PYTHON) -m tests.benchmarks.workers $(ARGS)

bench-asking: .venv/made
	@$(PYTHON) -m tests.benchmarks.asking $(ARGS)

bench-evasion: .venv/made
	@$(PYTHON) -m tests.evasion.document

lock: .venv/made
	@deploy/dev/make-locks $(ARGS)

clean:
	rm -rf .venv .venv-bootstrap var tests/openid/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

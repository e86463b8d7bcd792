# The two commands of a fresh clone are `make demo` and `make test`: each makes .venv when it is needed, and once.

.PHONY: help demo test test-oldest check benchmarks schemas clean

WORKERS ?= 2
PLAN := examples/quickstart/plan.yaml
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(shell $(p) -c '$(NEW_ENOUGH)' 2>/dev/null && echo $(p))) python3)
OLDEST_TESTS := tests/lab tests/evidence tests/sources tests/case
INGREDIENTS := pyproject.toml constraints.txt .ci/environment.py

help:
	@echo "make demo         install, run the quickstart and say where its dossier lies"
	@echo "make test         install and pass the suite"
	@echo "make check        ruff and mypy, as CI runs them"
	@echo "make test-oldest  the lab's tests, and those below them, under the oldest versions that pyproject.toml allows"
	@echo "make benchmarks   measure the bars: speed, memory, start-up, coverage of the intervals"
	@echo "make schemas      write schemas/v1 anew from the records"
	@echo "make clean        remove what the above made"

demo: .venv/lab.stamp
	@code=0; made=$$(.venv/bin/safetycase build $(PLAN)) || code=$$?; \
	case $$code in \
	  0) ;; \
	  3) echo "Exit code 3 is this demo succeeding: the dossier counts something against the model (an adverse claim supported, or a favourable one not)." ;; \
	  *) exit $$code ;; \
	esac; \
	echo "The dossier:"; printf '  %s\n' $$made

test: .venv/dev.stamp
	@OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

test-oldest: .venv-oldest/dev.stamp
	@OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest -n $(WORKERS) --dist loadfile $(OLDEST_TESTS) $(ARGS)

check: .venv/dev.stamp
	@.venv/bin/ruff check .
	@.venv/bin/mypy

benchmarks: .venv/dev.stamp
	@.venv/bin/python -m tests.benchmarks.startup
	@.venv/bin/python -m tests.benchmarks.refusal_direction_speed
	@.venv/bin/python -m tests.benchmarks.rendering
	@OMP_NUM_THREADS=1 .venv/bin/python -m tests.benchmarks.coverage --out docs/coverage.md

schemas: .venv/dev.stamp
	@.venv/bin/python -m safetycase.plan.schemas

clean:
	rm -rf .venv .venv-oldest build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis examples/*/cases

.venv/lab.stamp: $(INGREDIENTS)
	@$(PYTHON) .ci/environment.py .venv --extra lab
	@touch $@

.venv/dev.stamp: $(INGREDIENTS)
	@$(PYTHON) .ci/environment.py .venv --extra lab --group dev
	@touch .venv/lab.stamp $@

.venv-oldest/dev.stamp: $(INGREDIENTS)
	@$(PYTHON) .ci/environment.py .venv-oldest --extra lab --group dev --oldest
	@touch $@

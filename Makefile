# The two commands of the README. Each sets up what it needs in .venv, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Two test files at a time; more where there are more cores: make test PYTEST='-n 8'.
PYTEST ?= -n 2

.PHONY: demo test lint bench chaos fuzz lies soak installed schemas clean

demo: $(READY)
	$(BIN)/grainloop demo --out demo-output

test: lint
	$(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder $(PYTEST)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python -m benchmarks

# Each process killed at forty random moments; 'make chaos REPORT=--report' keeps the table.
chaos: $(READY)
	$(BIN)/python -m tests.integration.chaos.deaths --moments 40 $(REPORT)

# A million malformed messages, then a minute of junk on every port of the three services.
fuzz: $(READY)
	$(BIN)/python -m tests.protocols.fuzz --messages 1000000
	$(BIN)/python -m tests.integration.junk --seconds 60

# All lies about every field of every reply, of which 'make test' tells every third.
lies: $(READY)
	GRAINLOOP_LIES=all $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder $(PYTEST) tests/integration/liars

# 100,000 points with followers attached that never read; tells how much memory the services keep.
soak: $(READY)
	$(BIN)/python -m tests.integration.soak --points 100000

# Source distribution, wheels from it, a fresh environment, the demo outside the checkout.
installed: $(READY)
	$(BIN)/python -m pytest -q tests/integration/installed_demo.py

schemas: $(READY)
	$(BIN)/python -m grainloop.protocols.schemas docs/schemas

$(READY): pyproject.toml data/pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "grainloop needs Python 3.11 or newer; '$(PYTHON)' is older. Try: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[all,test]' ./data
	$(BIN)/grainloop check --prepare
	@touch $(READY)

clean:
	rm -rf $(VENV) demo-output build dist

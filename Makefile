# Two commands for a new user: `make demo` and `make test`. Both make their own
# environment in .venv and touch nothing outside this folder.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# A Python that writes no bytecode imports Google's client 3 to 4 times slower.
unexport PYTHONDONTWRITEBYTECODE
# The demo and the tests bring their own; a user's settings must not leak in.
unexport ZENML_CONFIG_PATH
unexport PYTHONPATH
export ZENML_ANALYTICS_OPT_IN = false
export UV_COMPILE_BYTECODE = 1

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo demo-docker docker-tools bench bench-image test faults soak check lint types contract oldest format clean

demo: $(STAMP) ## The digits pipeline, its training step on Vertex AI (emulated)
	@$(BIN)/zenml-vertex demo

demo-docker: $(STAMP) docker-tools ## The same with real images, in a real Docker engine
	@$(BIN)/zenml-vertex demo --runtime docker --cache-dir .cache/images

docker-tools: ## Debian's packages for it, if they are missing
	@.ci/docker-tools

# `make bench ROWS=lag_seconds_45,import_seconds` measures some rows again.
ROWS ?=
bench: $(STAMP) ## This operator and the built-in one: seconds, memory, requests
	@$(BIN)/python -W ignore -m benchmarks --rows '$(ROWS)'

bench-image: $(STAMP) ## What this operator and the built-in one add to a step's image
	@$(BIN)/python benchmarks/step_image.py

test: $(STAMP) ## The whole suite
	$(BIN)/python -m pytest

# `make faults TRIALS=100 SEED=7` runs a shorter one, and the same trials each time.
TRIALS ?= 1000
SEED ?= 1
faults: $(STAMP) ## Random faults: does each step run get exactly one job?
	@$(BIN)/python -W ignore -m campaign --trials $(TRIALS) --seed $(SEED)

soak: $(STAMP) ## One step is waited for, for seven simulated days
	@$(BIN)/python -W ignore -m campaign.soak

check: lint types contract oldest test ## What CI runs

# The other end of what is supported: Python 3.10, ZenML 0.96 and the first
# google-cloud-aiplatform that is tested. A smoke run.
OLDEST_PYTHON ?= $(shell .ci/find-python 3.10)
oldest:
ifeq ($(OLDEST_PYTHON),)
	@echo "oldest: SKIPPED, there is no Python 3.10 on this machine"; test -z "$(CI)"
else
	@test -x .venv-oldest/bin/python || $(OLDEST_PYTHON) -m venv .venv-oldest
	@test -x .venv-oldest/bin/uv || .venv-oldest/bin/python -m pip install --quiet uv
	.venv-oldest/bin/uv pip install --quiet --python .venv-oldest/bin/python --constraints constraints-oldest.txt --group test --editable '.[demo]'
	.venv-oldest/bin/python -m pytest -m smoke -p no:cacheprovider
endif

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

contract: $(STAMP)
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraints constraints.txt --group dev --editable '.[demo]'
	@touch $@

clean:
	rm -rf $(VENV) .venv-oldest .cache .demo .mypy_cache .ruff_cache .pytest_cache

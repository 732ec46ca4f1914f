# Two commands for a new user: `make demo` and `make test`. Both make their own
# environment in .venv and touch nothing outside this folder, but for uv's cache of what it
# downloads: shared by all environments, it makes the next one in seconds, and lends
# its files to this one as hard links. `uv cache clean` empties it.
# `make PYTHON=python3.12` takes that one; without it, the newest supported one is looked for.
PYTHON ?=
VENV ?= .venv
BIN := $(VENV)/bin
# What the demo needs, and what everything needs.
DEMO := $(VENV)/.demo
STAMP := $(VENV)/.installed
# One of another Python, or half made, is made anew. These targets need none, and what
# only prints what it would do (`make -n`) changes nothing.
NEED_NONE := help clean docker-tools
ifneq ($(filter-out $(NEED_NONE),$(or $(MAKECMDGOALS),demo)),)
ifeq ($(findstring n,$(firstword -$(MAKEFLAGS))),)
$(shell .ci/environment --check '$(VENV)' '$(PYTHON)')
endif
endif

# A Python that writes no bytecode imports Google's client 3 to 4 times slower.
unexport PYTHONDONTWRITEBYTECODE
# The demo and the tests bring their own; a user's settings must not leak in.
unexport ZENML_CONFIG_PATH
unexport PYTHONPATH
export ZENML_ANALYTICS_OPT_IN = false
export UV_COMPILE_BYTECODE = 1

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help quick coverage demo demo-docker docker-tools bench bench-image test test-all faults soak compare machines record check lint types contract docs picture wheel installs oldest generate constraints format clean

.DEFAULT_GOAL := demo

help: ## Every target, and what it does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(DEMO) ## The digits pipeline, its training step on Vertex AI (emulated)
	@$(BIN)/zenml-vertex demo

demo-docker: $(STAMP) docker-tools ## The same with real images, in a real Docker engine
	@$(BIN)/python -m tests.support.containers

docker-tools: ## Debian's packages for it, if they are missing
	@.ci/docker-tools

# `make bench ROWS=lag_seconds_45,import_seconds` measures some rows again.
ROWS ?=
bench: $(STAMP) ## This operator and the built-in one: seconds, memory, requests
	@$(BIN)/python -W ignore -m benchmarks --rows '$(ROWS)'

bench-image: $(STAMP) ## What this operator and the built-in one add to a step's image
	@$(BIN)/python benchmarks/step_image.py

# Each worker has a stack of its own. Most of the time a test waits, so that there may be
# more of them than processors.
WORKERS ?= 3
SIDE_BY_SIDE := -n $(WORKERS) --no-loadscope-reorder

quick: $(STAMP) ## Every test that starts no Python, no gcloud and no stack
	$(BIN)/python -m pytest -m quick $(SIDE_BY_SIDE)

coverage: $(STAMP) ## What the quick tests reach; the others run in processes of their own
	$(BIN)/python -m pytest -m quick $(SIDE_BY_SIDE) --cov --cov-report=term:skip-covered

test: $(STAMP) ## The suite, without the few modules that take minutes each
	$(BIN)/python -m pytest -m 'not only_in_check' $(SIDE_BY_SIDE)

test-all: $(STAMP) ## The whole suite
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

compare: $(STAMP) ## What the emulator does otherwise than recorded jobs, or RECORDING=FILE
	@$(BIN)/python -m tests.support.recordings.compare $(or $(RECORDING),tests/emulator/recordings/*.json)

machines: $(STAMP) ## What saved tables of Google's say otherwise than the catalogue: TABLES='PAGE.html TABLE.csv'
	@$(BIN)/python docs/reference/compare_machines.py $(TABLES)

record: $(STAMP) ## A job on Google Cloud as a recording, without its words: JOB=NAME RECORDING=FILE
	@test -n '$(JOB)' -a -n '$(RECORDING)' || { echo "make record JOB=projects/P/locations/L/customJobs/ID RECORDING=FILE"; exit 2; }
	@$(BIN)/python -m tests.support.recordings.recorder '$(JOB)' > '$(RECORDING).new' || { rm '$(RECORDING).new'; exit 1; }
	@mv '$(RECORDING).new' '$(RECORDING)'

# `make faults TRIALS=100 SEED=7` runs a shorter one, and the same trials each time.
TRIALS ?= 1000
SEED ?= 1
faults: $(STAMP) ## Random faults: does each step run get exactly one job?
	@$(BIN)/python -W ignore -m campaign --trials $(TRIALS) --seed $(SEED)

soak: $(STAMP) ## One step is waited for, for seven simulated days
	@$(BIN)/python -W ignore -m campaign.soak

check: $(STAMP) ## What CI runs
	@$(MAKE) --no-print-directory --jobs=2 --output-sync lint types contract docs oldest
	@$(MAKE) --no-print-directory test-all

# The other end of what is supported: Python 3.10, ZenML 0.96 and the first
# google-cloud-aiplatform that is tested. A smoke run.
OLDEST_PYTHON ?= 3.10
oldest: wheel ## A smoke run on the oldest supported versions, if there is a Python 3.10
	@python=$$(.ci/find-python '$(OLDEST_PYTHON)' OLDEST_PYTHON) || { echo "oldest: SKIPPED"; test -z "$(CI)"; exit; }; \
	set -x && \
	{ test -x .venv-oldest/bin/python || $(BIN)/uv venv --quiet --python "$$python" .venv-oldest; } && \
	$(BIN)/uv pip install --quiet --python .venv-oldest --require-hashes --constraints constraints-oldest.txt --requirements pyproject.toml --extra demo --group test && \
	$(BIN)/uv pip install --quiet --python .venv-oldest --no-deps --reinstall-package zenml-vertex dist/*.whl && \
	.venv-oldest/bin/python -m pytest -m smoke -n 2 -p no:cacheprovider

lint: $(STAMP) ## What ruff and codespell say
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

types: $(STAMP) ## What mypy says
	$(BIN)/mypy

contract: $(STAMP) ## Whether each import is allowed
	$(BIN)/lint-imports

docs: $(STAMP) ## The documentation as a site, in .cache/site/html; a broken link is an error
	$(BIN)/python docs/site/build.py

picture: $(STAMP) ## The README's picture: what a terminal shows of a step that fails
	@$(BIN)/python docs/assets/generate_picture.py

format: $(STAMP) ## What ruff can put right by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Into a file beside it first: a generator may import what it writes.
define generated
	$(BIN)/python $(2) > $(1).new || { rm $(1).new; exit 1; }
	@mv $(1).new $(1)
endef
generate: $(STAMP) ## Every file that a program writes; the tests check that each is current
	$(call generated,docs/reference/settings.md,docs/reference/generate_settings.py)
	$(call generated,docs/reference/cli.md,docs/reference/generate_cli.py)
	$(call generated,src/vertex_emulator/jobs/schema.py,-m tests.support.generate_schema)
	$(call generated,src/vertex_emulator/persistent_resources/schema.py,-m tests.support.generate_schema PersistentResource)
	$(call generated,src/zenml_vertex/data/custom_job.json,-m tests.support.generate_messages)
	$(call generated,src/vertex_emulator/as_google/methods.json,-m tests.support.generate_methods)
	$(call generated,docs/reference/emulator-coverage.md,docs/reference/generate_emulator_coverage.py)
	$(call generated,docs/reference/emulator-api.md,docs/reference/generate_emulator_api.py)
	cp src/zenml_vertex/data/machine_accelerators.yaml src/vertex_emulator/data/

# The versions that are installed, with a hash of each file. What is pinned stays, unless
# `make constraints UPGRADE=--upgrade` or `UPGRADE='--upgrade-package zenml'` says otherwise;
# those of the oldest versions are raised by hand.
UPGRADE ?=
COMPILE := $(BIN)/uv pip compile --quiet --no-header --no-annotate --generate-hashes
constraints: $(STAMP) ## constraints.txt, constraints-oldest.txt and .ci/uv.txt
	$(COMPILE) $(UPGRADE) --universal --python-version 3.10 --all-extras --group dev pyproject.toml --output-file constraints.txt
	$(COMPILE) --python-version $(OLDEST_PYTHON) --extra demo --group test pyproject.toml --output-file constraints-oldest.txt
	echo uv | $(COMPILE) $(UPGRADE) --universal --no-deps - --output-file .ci/uv.txt

# What users get: both packages, and the version that they say. Installed alone, with
# no extra, it is the flavor `vertex`, and each command says which extra it needs.
wheel: $(STAMP) ## The wheel, its bill of materials and the sdist, in dist/, and a look into the wheel
	@rm -rf dist .venv-wheel
	$(BIN)/uv build --quiet --require-hashes --build-constraints constraints.txt --out-dir dist
	$(BIN)/python .ci/check_wheel.py dist/*.whl
	$(BIN)/python .ci/write_sbom.py dist/*.whl
	$(BIN)/uv venv --quiet --python $(BIN)/python .venv-wheel
	UV_COMPILE_BYTECODE=0 $(BIN)/uv pip install --quiet --python .venv-wheel --constraints constraints.txt dist/*.whl
	cd / && $(CURDIR)/.venv-wheel/bin/python -I $(CURDIR)/.ci/check_installed.py

# `make installs VERSIONS=3.12` is one Python alone.
VERSIONS ?= 3.10 3.11 3.12 3.13
installs: wheel ## Every way to install it, with every Python: a minute each
	$(BIN)/python .ci/check_installs.py dist/*.whl $(VERSIONS)

INSTALL := @.ci/environment '$(VENV)' '$(PYTHON)' --extra demo
$(DEMO): pyproject.toml constraints.txt .ci/uv.txt
	$(INSTALL)
	@touch $@

$(STAMP): pyproject.toml constraints.txt .ci/uv.txt
	$(INSTALL) --group dev
	@touch $(DEMO) $@

clean: ## Remove everything that these targets have made in this folder
	rm -rf $(VENV) .venv-docs .venv-oldest .venv-wheel dist .cache .demo .coverage \
		.hypothesis .import_linter_cache .mypy_cache .ruff_cache .pytest_cache
	find . -name .git -prune -o -name __pycache__ -prune -exec rm -rf {} +

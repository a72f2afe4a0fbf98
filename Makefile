# The few chores of this repository. `make` alone explains them.

VENV := .venv
READY := $(VENV)/.ready
BIN := $(VENV)/bin
PORT := 9092
SECONDS := 60
INCIDENTS := 1000
HOURS := 20
LOG := sqlite
AUDIT := build/audit
AUDITOR := pip-audit==2.10.1
LABELLED := benchmarks/nab.py benchmarks/cloud_monitoring.py
BENCHMARKS = $(filter-out $(LABELLED),$(shell grep -l __main__ benchmarks/*.py))
SHELL_FILES := $(shell git ls-files '*.sh' .ci/run 2>/dev/null)

# Tests start hundreds of processes, each of which would compile all of Mendline anew if none were allowed to keep it.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup run demo kafka test test-fast chaos simulate defects check fix bench schemas docs screenshots lock audit clean
.PHONY: check-format check-lint check-types check-layers check-shell check-yaml

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## make the virtual environment .venv with everything in it (other targets do so by themselves)

run: $(READY) ## run the whole pipeline with an example service, on an embedded log
	@echo "To break the example service: kill -9 its process, from another terminal. Its number stands below."
	@$(BIN)/mendline up -c examples/quickstart/mendline.yaml

demo: $(READY) ## break a throw-away service in several ways and show it mended, with measured times
	@$(BIN)/mendline demo

kafka: $(READY) ## run a local Apache Kafka until Ctrl-C (PORT=9092; needs Java 17 and Maven)
	@$(BIN)/python -m mendline.testing.kafka --port $(PORT)

# Tests of real processes share the cores with others: what failed so must pass by itself, or make test fails.
define run-tests
@$(BIN)/python -m pytest $(1) -m "$(2)" || { [ $$? = 1 ] && echo "Once more, by itself, what failed above:" && \
	$(BIN)/python -m pytest --last-failed --last-failed-no-failures none --maxfail 1 -m "$(2)"; }
endef

test: $(READY) ## run all tests, those on a real Kafka included
	$(call run-tests,-n auto,not broker and not heavy)
	$(call run-tests,tests -n 5 --dist loadfile --no-loadscope-reorder,broker or heavy)

test-fast: $(READY) ## run the tests that need neither Kafka nor patience
	@MENDLINE_FEW_EXAMPLES=1 $(BIN)/python -m pytest -n auto -m "not broker and not heavy and not slow"

chaos: $(READY) ## kill and freeze members and brokers, and compare (SECONDS=60 SEED=random LOG=sqlite or kafka, CLIENT, EVERY)
	@$(BIN)/python -m tests.chaos --seconds $(SECONDS) --log $(LOG) $(if $(SEED),--seed $(SEED)) $(if $(CLIENT),--client $(CLIENT)) $(if $(EVERY),--every $(EVERY))

simulate: $(READY) ## simulate incidents, then a fleet, with harm around them; count what went wrong (INCIDENTS=1000 HOURS=20 SEED=random)
	@$(BIN)/python -m tests.simulation --incidents $(INCIDENTS) $(if $(SEED),--seed $(SEED))
	@$(BIN)/python -m tests.simulation --fleet --hours $(HOURS) $(if $(SEED),--seed $(SEED))

defects: $(READY) ## put deliberate defects into copies of the tree, and see that tests and simulation catch each (ONLY=names)
	@$(BIN)/python -m tests.defects $(ONLY)

check: check-format check-lint check-types check-layers check-shell check-yaml ## format, lint, types, layers, shell and YAML

check-format: $(READY)
	$(BIN)/ruff format --check .

check-lint: $(READY)
	$(BIN)/ruff check .

check-types: $(READY)
	$(BIN)/mypy

check-layers: $(READY)
	$(BIN)/lint-imports

check-shell: $(READY)
	$(if $(SHELL_FILES),$(BIN)/shellcheck $(SHELL_FILES))

check-yaml: $(READY)
	$(BIN)/yamllint --strict .

fix: $(READY) ## format, and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## run every benchmark under benchmarks/ that needs no data of others
	@for file in $(BENCHMARKS); do \
		echo "== $$file"; $(BIN)/python -m "benchmarks.$$(basename $$file .py)" || exit 1; \
	done

schemas: $(READY) ## write docs/schemas/ from the records' models
	$(BIN)/python -m mendline.schemas.export

docs: $(READY) ## write the generated pages of docs/
	$(BIN)/python -m mendline.reference

screenshots: $(READY) ## take the pictures of the page in docs/pictures, of services broken for real (needs Chromium)
	$(BIN)/python -m tests.web.screenshots

lock: $(READY) ## pin the newest versions of all dependencies in requirements-dev.txt
	$(BIN)/pip-compile --quiet --upgrade --extra dev --allow-unsafe --strip-extras --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
		--output-file requirements-dev.txt pyproject.toml

audit: ## compare the pinned packages with the vulnerabilities that the public index knows of (a mirror does not, so not in CI)
	@test -x $(AUDIT)/bin/pip-audit || { sh tools/venv.sh $(AUDIT) && $(AUDIT)/bin/python -m pip install --quiet $(AUDITOR); }
	@$(AUDIT)/bin/pip-audit --strict --require-hashes --disable-pip --requirement requirements-dev.txt

clean: ## remove what was built; .venv and .mendline stay
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# The packages are pinned with their hashes, the build backend among them, so nothing is resolved or fetched twice.
$(READY): pyproject.toml requirements-dev.txt
	@sh tools/venv.sh $(VENV)
	@echo "Installing into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

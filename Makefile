# The only list of tasks. `make` alone prints it.
PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.ready
LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header

.PHONY: help demo test lint crds docs preview bench lock clean

help:  ## Print this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /\1\t/' | column -t -s "$$(printf '\t')"

demo: $(SETUP)  ## Run the whole system on this machine until Ctrl-C (ARGS="--once --report FILE" checks it and ends)
	@$(BIN)/python -m ehr_sandbox demo $(ARGS)

# Most tests wait more than they work, so two at a time. The browser's own event loop suits no other test: they come apart.
test: $(SETUP)  ## Run every test (ARGS="-k name" picks some)
ifeq ($(strip $(ARGS)),)
	@$(BIN)/pytest -n 2 --dist loadfile --deselect tests/browser
	@$(BIN)/pytest tests/browser
else
	@$(BIN)/pytest $(ARGS)
endif

lint: $(SETUP)  ## Format check, lint, types, layers
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/lint-imports && $(BIN)/pyright

crds: $(SETUP)  ## Generate crds/ from the models in api/
	@$(BIN)/python -m ehr_api crds

docs: $(SETUP)  ## Build the documents into build/docs, strictly
	@$(BIN)/mkdocs build --quiet && echo "Open build/docs/index.html"

preview: $(SETUP)  ## Show what `pulumi up` would build, without an Azure account (ARGS=Pulumi.production.yaml.example)
	@$(BIN)/python -m ehr_sandbox.pulumi_engine $(ARGS)

bench: $(SETUP)  ## Measure (ARGS="--help" lists the choices)
	@$(BIN)/python bench/reconcile.py $(ARGS)

lock:  ## Pin and hash the requirements again (needs uv)
	@$(LOCK) --extra dev pyproject.toml -o requirements/dev.txt
	@$(LOCK) --extra operator -c requirements/dev.txt pyproject.toml -o requirements/operator.txt
	@$(LOCK) --extra connector -c requirements/dev.txt pyproject.toml -o requirements/connector.txt

clean:  ## Remove what the other tasks made here (the shared cache of binaries stays)
	@rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist

$(SETUP): requirements/dev.txt pyproject.toml
	@echo "Setting up .venv from requirements/dev.txt (about a minute, once) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

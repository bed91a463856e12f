# Every target sets up what it needs; nothing has to be installed by hand first.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# Docker's daemon and ip stand where not every root looks.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

.PHONY: run test soak check fuzz bench conformance image service-image clean

run: $(VENV)/.lab
	@scripts/setup.sh redis $(BIN)/python
	$(BIN)/tmpenv serve --on-exit stop $(ARGS)

test: $(VENV)/.dev $(VENV)/.lab $(VENV)/.hub
	tests/provision/provision.sh
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/unit

# For longer than the half minute that make test gives it: make fuzz SECONDS=3600 ARGS="--seed 7"
SECONDS ?= 600
fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(ARGS)

# The soak alone: make soak MINUTES=30 VISITORS=200 SEED=7
soak: $(VENV)/.dev
	@scripts/setup.sh redis $(BIN)/python
	SOAK_MINUTES=$(MINUTES) SOAK_VISITORS=$(VISITORS) SOAK_SEED=$(SEED) \
		$(BIN)/python -m pytest -s tests/soak $(ARGS)

bench: $(VENV)/.dev $(VENV)/.lab
	tests/provision/provision.sh
	$(BIN)/python -m bench $(ARGS)

# Tries the proxy's contract on other proxies, and writes what they do into docs/proxy.md.
conformance: $(VENV)/.dev
	tests/provision/provision.sh
	$(BIN)/python -m tests.integration.proxy.peers $(ARGS)

# The default image of the docker backend.
image:
	images/build.sh jupyter tmpenv/jupyter $(ARGS)

# tmpenv itself, for compose.yaml.
service-image:
	images/build.sh service tmpenv/tmpenv $(ARGS)

$(VENV)/.created:
	@scripts/setup.sh venv $(PYTHON) $(VENV)
	touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.created
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

$(VENV)/.lab: pyproject.toml $(VENV)/.created
	$(BIN)/python -m pip install --quiet --editable '.[lab]'
	touch $@

# A real JupyterHub for the tests of tmpenv proxy, apart from what tmpenv itself needs.
$(VENV)/.hub: $(VENV)/.created
	$(PYTHON) -m venv $(VENV)/hub
	$(VENV)/hub/bin/python -m pip install --quiet jupyterhub jupyter-server ipykernel
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

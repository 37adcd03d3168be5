# make app: set up and start the dashboard.  make test: set up and run every test.  make soak: the long counts.
.PHONY: app test soak paper venv venv-dev bench clean
.DEFAULT_GOAL := app
PYTHON ?= python3
PORT ?= 8501
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONDONTWRITEBYTECODE  # else every trainer and every test process compiles the project anew

app: venv
	@$(BIN)/python -m learnability prepare digits --if-missing
	@echo
	@echo "  Learnability Explorer: http://127.0.0.1:$(PORT)"
	@if [ -n "$$SSH_CONNECTION" ]; then set -- $$SSH_CONNECTION; \
	  echo "  from your own machine: ssh -L $(PORT):127.0.0.1:$(PORT) $$(id -un)@$$3"; fi
	@echo
	@$(BIN)/streamlit run app.py --server.port $(PORT) --server.headless true

test: venv-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -m "not soak and not browser" -n 3 --dist loadfile --durations=15
	$(BIN)/python -m pytest tests/browser -m "not soak" -n 2 --dist loadfile --durations=15

soak: venv-dev
	LEARNABILITY_SOAK=1 $(BIN)/python -m pytest -m "soak" --timeout=0 --durations=15

# The experiment of arXiv 1901.02347 on the digits, as one HTML file.  make paper EPOCHS=30 DATA=cifar10: another one
DATA ?= digits
EPOCHS ?= 10
SEEDS ?= 3
TOGETHER ?= 3
paper: venv
	@test "$(DATA)" != digits || $(BIN)/python -m learnability prepare digits --if-missing
	$(BIN)/python -m learnability paper --data $(DATA) --epochs $(EPOCHS) --seeds $(SEEDS) --together $(TOGETHER) --out cache/paper-$(DATA).html

bench: venv-dev
	@for name in metrics_time prepare_time epoch_time recording_overhead recorder_overhead commit_cost process_settings dashboard_time; do \
	  echo "== bench.$$name"; $(BIN)/python -m bench.$$name || exit 1; done

venv: .venv/app.done
venv-dev: .venv/dev.done

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python is missing. On Debian or Ubuntu: apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) -V). Try: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv is missing. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@command -v c++ >/dev/null || echo "note: no C++ compiler; training works, torch.compile is left out (apt-get install g++)"

.venv/app.done: .venv/bin/python requirements.txt
	$(BIN)/pip install -q -r requirements.txt
	@touch $@

.venv/dev.done: .venv/app.done pyproject.toml
	$(BIN)/pip install -q -e ".[dev]"
	@command -v chromium chromium-browser google-chrome >/dev/null 2>&1 \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq chromium; } \
	  || $(BIN)/playwright install --with-deps chromium \
	  || { echo "No Chromium for the browser tests. On Debian: apt-get install chromium" >&2; exit 1; }
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis test-results

# Everything here sets up what it needs in .venv, once. PYTHON and PIP_ARGS may be given: see docs/quickstart.md, "Install".
PYTHON ?= python3
PIP_ARGS ?=
BIN := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(PIP_ARGS)
RUN := runs/sudoku-mini
SUDOKU := 53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79

SITE ?= build/site
COMMA := ,

.PHONY: run test lint fuzz bench site docs wheel clean chromium

run: .venv/ready  ## solve puzzles with what ships, learn Sudoku from nothing, measure it on unseen puzzles
	@echo "1 of 4  The models that ship solve a Sudoku, shown after each step, and a maze"
	@$(BIN)/trm solve sudoku $(SUDOKU) --trace
	@$(BIN)/trm solve maze examples/maze.txt
	@echo; echo "2 of 4  A model of 26 thousand weights learns Sudoku from nothing"
	@$(BIN)/trm train sudoku-mini --out $(RUN) $$(test ! -f $(RUN)/checkpoint.pt || echo --resume)
	@echo; echo "3 of 4  It is measured on puzzles that it has not seen: 1,000 random ones, then 1,000 extreme ones"
	@$(BIN)/trm eval $(RUN) --data minimal --steps 32
	@$(BIN)/trm eval $(RUN) --data embedded --steps 32
	@echo; echo "4 of 4  It solves three of them"
	@$(BIN)/trm solve sudoku examples/three-sudokus.txt --weights $(RUN) || echo "(not every one: see above)"
	@echo; echo "Next:"
	@echo "  . $(BIN)/activate                           then trm is a command"
	@echo "  trm models                                   the models that ship"
	@echo "  trm solve sudoku PUZZLE --trace              81 characters, or a file; trm solve maze FILE"
	@echo "  trm eval $(RUN) --data minimal --restarts 7 --guesses 2 --noise 0.5"
	@echo "  trm train list                               what else can be trained"
	@echo "  pip install -c constraints.txt '.[serve]' && trm serve     the same in a browser"

test: .venv/ready-dev  ## the test suite
	@$(BIN)/python -m pytest -n auto

lint: .venv/ready-dev
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache

fuzz: .venv/ready-dev  ## the tests of odd and damaged input, with 10,000 examples each
	@FUZZ_EXAMPLES=10000 $(BIN)/python -m pytest -n auto \
	  tests/tasks/test_forms.py tests/tasks/test_spaces.py tests/tasks/test_sizes.py \
	  tests/tasks/test_tables.py tests/cli/test_fuzz.py tests/store/test_damage.py

bench: .venv/ready-dev  ## ratios on this machine; leave it alone meanwhile
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

site: .venv/ready-site  ## the page as a folder of files for any web server; npm fetches its runtime (docs/site.md)
	@$(BIN)/trm site --out $(SITE)

docs: .venv/ready-docs  ## the documentation as a site, in build/docs
	@$(BIN)/python -m sphinx -q -W --keep-going docs build/docs && echo "build/docs/README.html"

wheel: .venv/ready-dev  ## the package and its sources, in dist; both are installed and tried in an environment of their own
	@rm -rf dist build/lib build/try && $(PIP) build && $(BIN)/python -m build --outdir dist >/dev/null
	@for file in dist/*.whl dist/*.tar.gz; do \
	  echo "trying $$file" && rm -rf build/try && $(PYTHON) -m venv build/try && \
	  build/try/bin/pip install --quiet --disable-pip-version-check -c constraints.txt $(PIP_ARGS) "$$file" && \
	  (cd build/try && bin/trm solve sudoku $(SUDOKU) --quiet && bin/trm models >/dev/null) || exit 1; done

clean:
	rm -rf .venv runs build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/ready: pyproject.toml constraints.txt
	@$(call install,.)
	@touch $@

.venv/ready-dev: pyproject.toml constraints.txt
	@$(call install,.[dev])
	@$(MAKE) --no-print-directory chromium
	@touch .venv/ready $@

.venv/ready-site: pyproject.toml constraints.txt
	@$(call install,.[onnx$(COMMA)serve])
	@touch $@

.venv/ready-docs: pyproject.toml constraints.txt
	@$(call install,.[docs])
	@touch $@

# Only the download, which may be killed, has a time limit. Ubuntu's package of this name is another thing (a snap).
APT := DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0
CHROMIUM := $(APT) install --no-install-recommends --yes chromium
chromium:  ## for the tests of the page, which are skipped without it
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
	  test "$$(id -u)" = 0 && grep -qs '^ID=debian' /etc/os-release && echo "installing chromium (once)" && \
	  { timeout 40 sh -c '$(APT) update && $(CHROMIUM) --download-only' && $(CHROMIUM); } >/dev/null 2>&1; \
	} || echo "no chromium: tests of the page in a browser are skipped"

define install
$(PYTHON) -c 'import sys; sys.exit("trm needs Python 3.10 or newer; make $(MAKECMDGOALS) PYTHON=...") if sys.version_info < (3, 10) else 0'
@echo "setting up .venv (once)"
@test -x $(BIN)/python || $(PYTHON) -m venv .venv
@$(PIP) -e '$(1)'
endef

# make          set up, run every lesson from top to bottom, leave pages in build/ (make KO=1: in Korean)
# make lab      open the lessons in JupyterLab
# make slides   every lesson, in both languages, as one HTML file to project, in build/slides/
# make check    style and the quick tests, in a minute: no notebook, no training, no browser
# make test     run all tests: units, parity of the languages, every notebook
# make bench    measure speed and memory, write the tables of the READMEs (an hour; QUICK=1: two minutes, only printed)
# make store    run the lessons and store their outputs in the notebooks, before a commit
# make lock     write requirements.lock again, after a change of requirements.txt

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LANGUAGE := $(if $(KO),ko,en)

.PHONY: lessons setup lab slides style check test bench store lock clean
.DEFAULT_GOAL := lessons

lessons: setup
	$(BIN)/python scripts/execute.py $(LANGUAGE)

setup: $(READY)
	@$(BIN)/python bert/prepare.py

$(READY): requirements.txt requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c requirements.lock -e .
	touch $@

lab: setup
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks/$(LANGUAGE)

slides: setup
	$(BIN)/python scripts/pages.py

style: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

check: style
	$(BIN)/python -m pytest tests -n 2 --dist loadfile -m "not slow and not browser"

test: style
	$(BIN)/python -m pytest -n 2 --dist loadfile

bench: setup
	$(BIN)/python scripts/benchmark.py $(if $(QUICK),--quick)

store: setup
	$(BIN)/python scripts/execute.py --store en
	$(BIN)/python scripts/execute.py --store ko

lock: setup
	$(BIN)/python -m pip install -q uv==0.13.9
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-annotate \
		--custom-compile-command "make lock" requirements.txt -o requirements.lock

clean:
	rm -rf build

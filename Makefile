# make          set up, run every lesson from top to bottom, leave pages in build/ (make KO=1: in Korean)
# make lab      open the lessons in JupyterLab
# make slides   every lesson, in both languages, as one HTML file to project, in build/slides/
# make test     run all tests: units, parity of the languages, every notebook
# make bench    measure speed and memory, write the tables of the READMEs (an hour; QUICK=1: two minutes, only printed)
# make store    run the lessons and store their outputs in the notebooks, before a commit

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LANGUAGE := $(if $(KO),ko,en)

.PHONY: lessons setup lab slides test bench store clean
.DEFAULT_GOAL := lessons

lessons: setup
	$(BIN)/python scripts/execute.py $(LANGUAGE)

setup: $(READY)
	@$(BIN)/python bert/prepare.py

$(READY): requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -r requirements.txt
	touch $@

lab: setup
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks/$(LANGUAGE)

slides: setup
	$(BIN)/python scripts/pages.py

test: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/python -m pytest

bench: setup
	$(BIN)/python scripts/benchmark.py $(if $(QUICK),--quick)

store: setup
	$(BIN)/python scripts/execute.py --store en
	$(BIN)/python scripts/execute.py --store ko

clean:
	rm -rf build

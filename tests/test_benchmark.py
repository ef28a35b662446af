"""scripts/benchmark.py: every training that it compares runs, medians are medians, the READMEs show what was noted."""

import json
import sys

import pytest

import benchmark
import torchnlp
from course.notebooks import ROOT

ROWS = [(1 + i % 4, f"{topic} story number {i}") for i, topic in enumerate(["war", "goal", "bank", "chip"] * 20)]


@pytest.fixture
def few_rows(tmp_path, monkeypatch):
    benchmark.write_rows(tmp_path, ROWS, ROWS[:8])
    monkeypatch.setenv("TORCHNLP_DATA", str(tmp_path))
    return tmp_path


RUNS = [name for name in (*benchmark.TRAININGS, *benchmark.ON_A_GPU) if "compiled" not in name]


@pytest.mark.parametrize("name", RUNS)
def test_every_training_runs_and_gives_all_figures(name, few_rows, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--part", name])
    benchmark.main()
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(figures) == {"seconds", "rows_per_second", "accuracy", "gigabytes"}
    assert figures["rows_per_second"] == pytest.approx(len(ROWS) / figures["seconds"])
    assert figures["accuracy"] in [hits / 8 for hits in range(9)]


def test_rows_are_written_as_load_dataset_reads_them(tmp_path):
    rows = [(1, 'He said "no", then left'), (4, "two\nlines"), (2, "é 한글")]
    benchmark.write_rows(tmp_path, rows, rows[:1])
    assert torchnlp.load_dataset(root=tmp_path)[:2] == (rows, rows[:1])


def test_contestants_run_in_turns_and_medians_are_taken():
    order = []

    def contestant(name, figures):
        return lambda: order.append(name) or {"seconds": figures.pop(0)}

    medians = benchmark.in_turns(3, {"a": contestant("a", [5, 1, 3]), "b": contestant("b", [9, 9, 2])}, "")
    assert order == ["a", "b"] * 3
    assert medians == {"a": {"seconds": 3}, "b": {"seconds": 9}}


def test_vocabulary_is_measured_on_as_many_rows_as_asked(monkeypatch):
    figures = benchmark.measure_vocabulary(1, ROWS, 100)
    assert figures["rows"] == 100 and figures["load_dataset"]["seconds"] > 0 < figures["ancestor"]["seconds"]


@pytest.mark.parametrize(("readme", "language"), [("README.md", "en"), ("README.ko.md", "ko")])
def test_the_readme_shows_the_noted_figures(readme, language):
    figures = json.loads(benchmark.FIGURES.read_text())
    assert figures["runs"] >= 3
    shown = benchmark.MARKED.findall((ROOT / readme).read_text(encoding="utf-8"))
    assert shown == [benchmark.tables(figures, language)]


def test_a_gpu_gets_its_rows_in_the_table():
    figures = json.loads(benchmark.FIGURES.read_text()) | {"device": "Some GPU"}
    run = figures["training"]["lesson_loop"]
    figures["training"] |= {name: run for name in benchmark.ON_A_GPU}
    shown = benchmark.tables(figures, "en")
    assert "on Some GPU;" in shown
    assert "| the loop of lesson 3, bf16, compiled |" in shown and "| `finetune.py`, fp32 |" in shown

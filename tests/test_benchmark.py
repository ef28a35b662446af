"""scripts/benchmark.py: what it compares runs, each part is saved at once, the READMEs show what was saved."""

import json
import sys
from pathlib import Path

import pytest

import benchmark
import torchnlp
import trainings
from course.notebooks import ROOT

ROWS = [(1 + i % 4, f"{topic} story, number {i}") for i, topic in enumerate(["war", "goal", '"bank"', "한글"] * 20)]
SIZES = {"runs": 1, "rows": 16, "few_rows": 8, "test_rows": 8, "vocabulary_rows": 20}


@pytest.fixture
def few_rows(tmp_path, monkeypatch):
    benchmark.write_rows(tmp_path / "data", ROWS, ROWS[:8])
    monkeypatch.setenv("TORCHNLP_DATA", str(tmp_path / "data"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["original_loop", "plain_trainer", "lesson_loop fp32", "finetune_script fp32"])
def test_every_training_runs_and_gives_all_figures(name, few_rows, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["trainings.py", *name.split()])
    trainings.main()
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(figures) == {"seconds", "rows_per_second", "accuracy", "gigabytes"}
    assert figures["rows_per_second"] == pytest.approx(len(ROWS) / figures["seconds"])
    assert figures["accuracy"] in [hits / 8 for hits in range(9)] and 0.1 < figures["gigabytes"] < 100


def test_a_command_that_fails_ends_the_measurement_with_its_error():
    with pytest.raises(SystemExit, match=r"(?s)ZeroDivisionError.*this command failed: -c 1/0"):
        benchmark.output_of("-c", "1/0")


def test_vocabularies_are_timed_on_rows_that_are_read_back_as_written(tmp_path):
    benchmark.write_rows(tmp_path / "vocabulary", ROWS, ROWS[:8])
    assert torchnlp.load_dataset(root=tmp_path / "vocabulary")[:2] == (ROWS, ROWS[:8])
    for contestant in benchmark.contestants("vocabulary", tmp_path).values():
        assert 0 < contestant()["seconds"] < 5


def test_processes_share_one_batch_and_stay_off_the_gpu(tmp_path, monkeypatch):
    seen = []

    def output_of(*command, **environment):
        options = dict(option.split("=") for option in command if "=" in option)
        seen.append((options.get("--nproc-per-node"), options["--per-device-train-batch-size"], *environment.values()))
        output = Path(command[command.index("--output-dir") + 1])
        (output / "metrics.json").write_text('{"seconds": 2, "rows_per_second": 8, "accuracy": 0.5, "loss": 1}')

    monkeypatch.setattr(benchmark, "output_of", output_of)
    for contestant in benchmark.contestants("processes", tmp_path).values():
        assert contestant() == {"seconds": 2, "rows_per_second": 8, "accuracy": 0.5}
    rows = str(tmp_path / "few_rows")  # then threads and GPUs
    assert seen == [(None, "16", rows, "1", ""), (None, "16", rows, "2", ""), ("2", "8", rows, "1", "")]


def test_contestants_are_interleaved_and_medians_taken():
    order, figures = [], {"a": [5, 1, 3], "b": [9, 9, 2]}
    functions = {name: lambda name=name: order.append(name) or {"seconds": figures[name].pop()} for name in figures}
    assert benchmark.interleaved(3, functions, "") == {"a": {"seconds": 3}, "b": {"seconds": 9}}
    assert order == ["a", "b"] * 3


def test_each_part_is_saved_at_once_and_completes_only_figures_of_the_same_settings(few_rows, tmp_path, monkeypatch):
    saved, seconds = json.loads(benchmark.FIGURES.read_text()), dict.fromkeys(benchmark.PARTS, 1)
    rest = {"rows_per_second": 1, "accuracy": 1, "gigabytes": 1}

    def contestants(part, folder):  # measure nothing
        return {name: lambda: rest | {"seconds": 60 / seconds[part]} for name in saved[part]}

    def main(*options):
        monkeypatch.setattr(sys, "argv", ["benchmark.py", *options])
        benchmark.main()

    readme, file = tmp_path / "README.md", tmp_path / "benchmark.json"
    changes = {"ROOT": tmp_path, "READMES": {"ko": readme.name}, "FIGURES": file, "FULL": SIZES, "QUICK": SIZES}
    for name, value in (changes | {"contestants": contestants}).items():
        monkeypatch.setattr(benchmark, name, value)
    begin, end = "Before\n<!-- make bench -->\n", "\n<!-- end of make bench -->\nAfter\n"
    readme.write_text(f"{begin}old{end}")
    main("--quick")
    assert not file.exists() and readme.read_text() == f"{begin}old{end}"
    seconds["processes"] = 0
    with pytest.raises(ZeroDivisionError):
        main()
    first = json.loads(file.read_text())
    assert [part for part in benchmark.PARTS if part in first] == ["import", "vocabulary", "training"]
    seconds.update(processes=2, training=3)
    with pytest.raises(SystemExit, match="no figures yet of: lessons"):
        main("--only", "processes")
    main("--only", "lessons")
    complete = json.loads(file.read_text())
    assert complete["processes"]["two_processes"]["seconds"] == 30
    assert {name: complete[name] for name in first} == first
    assert readme.read_text(encoding="utf-8") == begin + benchmark.tables(complete, "ko") + end
    monkeypatch.setattr(benchmark, "FULL", SIZES | {"rows": 1000})
    with pytest.raises(SystemExit, match=r"other settings \({'rows': 1000}\); leave out --only"):
        main("--only", "import")
    with pytest.raises(SystemExit, match="80 rows to train and 8 to test: use AG News"):
        main()
    assert json.loads(file.read_text()) == complete


@pytest.mark.parametrize("language", benchmark.READMES)
def test_the_readme_shows_the_saved_figures(language):
    figures = json.loads(benchmark.FIGURES.read_text())
    readme = (ROOT / benchmark.READMES[language]).read_text(encoding="utf-8")
    assert figures["runs"] >= 3 and benchmark.MARKED.findall(readme) == [benchmark.tables(figures, language)]


def test_a_gpu_gets_its_rows_in_the_table(monkeypatch, tmp_path):
    figures = json.loads(benchmark.FIGURES.read_text()) | {"device": "Some GPU"}
    monkeypatch.setattr(torchnlp, "device", benchmark.torch.device("cuda"))
    figures["training"] = dict.fromkeys(benchmark.contestants("training", tmp_path), figures["training"]["lesson_loop"])
    shown = benchmark.tables(figures, "en")
    assert len(figures["training"]) == 12 and "on Some GPU;" in shown and "(`finetune.py`), fp32 |" in shown
    assert "| **the loop of lesson 3**, bf16, compiled |" in shown

"""scripts/benchmark.py: what it compares runs, each part is saved at once, the READMEs show what was saved."""

import json
import sys
from pathlib import Path

import pytest

import benchmark
import torchnlp
import trainings
from course.notebooks import LANGUAGES, ROOT

ROWS = [(1 + i % 4, f"{topic} story number {i}") for i, topic in enumerate(["war", "goal", "bank", "chip"] * 20)]
SIZES = {"runs": 1, "rows": 16, "few_rows": 8, "test_rows": 8, "vocabulary_rows": 20}


@pytest.fixture
def few_rows(tmp_path, monkeypatch):
    benchmark.write_rows(tmp_path / "data", ROWS, ROWS[:8])
    monkeypatch.setenv("TORCHNLP_DATA", str(tmp_path / "data"))


def run(monkeypatch, *options):
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *options])
    benchmark.main()


# --- what is compared ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["original_loop", "plain_trainer", "lesson_loop fp32", "finetune_script fp32"])
def test_every_training_runs_and_gives_all_figures(name, few_rows, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["trainings.py", *name.split()])
    trainings.main()
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(figures) == {"seconds", "rows_per_second", "accuracy", "gigabytes"}
    assert figures["rows_per_second"] == pytest.approx(len(ROWS) / figures["seconds"])
    assert figures["accuracy"] in [hits / 8 for hits in range(9)]
    assert 0.1 < figures["gigabytes"] < 100


def test_an_unknown_training_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["trainings.py", "magic"])
    with pytest.raises(SystemExit, match="expected one of original_loop, .* not 'magic'"):
        trainings.main()


def test_vocabularies_and_imports_are_timed(tmp_path):
    benchmark.write_rows(tmp_path / "vocabulary", ROWS, ROWS[:8])
    for contestant in benchmark.contestants("vocabulary", tmp_path).values():
        assert contestant()["seconds"] > 0
    assert 0 < benchmark.time_import("json")["seconds"] < 5


def test_processes_share_one_batch_and_stay_off_the_gpu(tmp_path, monkeypatch):
    seen = []

    def output_of(*command, **environment):
        seen.append((" ".join(command), environment))
        output = Path(command[command.index("--output-dir") + 1])
        (output / "metrics.json").write_text('{"seconds": 2, "rows_per_second": 8, "accuracy": 0.5, "loss": 1}')

    monkeypatch.setattr(benchmark, "output_of", output_of)
    for contestant in benchmark.contestants("processes", tmp_path).values():
        assert contestant() == {"seconds": 2, "rows_per_second": 8, "accuracy": 0.5}
    assert ["--nproc-per-node=2" in command for command, _ in seen] == [False, False, True]
    sizes = ["16", "16", "8"]
    assert all(f"-batch-size {size} " in command for (command, _), size in zip(seen, sizes, strict=True))
    assert [machine["OMP_NUM_THREADS"] for _, machine in seen] == ["1", "2", "1"]
    assert {machine["CUDA_VISIBLE_DEVICES"] for _, machine in seen} == {""}


def test_a_command_that_fails_ends_the_measurement_with_its_error():
    with pytest.raises(SystemExit, match=r"(?s)ZeroDivisionError.*this command failed: -c 1/0"):
        benchmark.output_of("-c", "1/0")


def test_rows_are_written_as_load_dataset_reads_them(tmp_path):
    rows = [(1, 'He said "no", then left'), (4, "two\nlines"), (2, "é 한글")]
    benchmark.write_rows(tmp_path, rows, rows[:1])
    assert torchnlp.load_dataset(root=tmp_path)[:2] == (rows, rows[:1])


def test_contestants_are_interleaved_and_medians_taken():
    order = []

    def contestant(name, figures):
        return lambda: order.append(name) or {"seconds": figures.pop(0)}

    medians = benchmark.interleaved(3, {"a": contestant("a", [5, 1, 3]), "b": contestant("b", [9, 9, 2])}, "")
    assert order == ["a", "b"] * 3
    assert medians == {"a": {"seconds": 3}, "b": {"seconds": 9}}


# --- what is saved and shown -----------------------------------------------------------------------------------------


@pytest.fixture
def saved(few_rows, tmp_path, monkeypatch):
    """A benchmark of a few rows that measures nothing: each contestant takes the seconds of the part in this dict."""
    seconds = dict.fromkeys(benchmark.PARTS, 1)
    names = {part: list(json.loads(benchmark.FIGURES.read_text())[part]) for part in benchmark.PARTS}
    rest = {"rows_per_second": 1, "accuracy": 1, "gigabytes": 1}
    monkeypatch.setattr(benchmark, "FULL", SIZES)
    monkeypatch.setattr(benchmark, "QUICK", SIZES)
    monkeypatch.setattr(benchmark, "FIGURES", tmp_path / "benchmark.json")
    monkeypatch.setattr(benchmark, "ROOT", tmp_path)
    monkeypatch.setattr(
        benchmark,
        "contestants",
        lambda part, folder: {name: lambda: {"seconds": 60 / seconds[part]} | rest for name in names[part]},
    )
    for name in ("README.md", "README.ko.md"):
        (tmp_path / name).write_text("Before\n<!-- make bench -->\nold\n<!-- end of make bench -->\nAfter\n")
    return seconds


def test_an_error_loses_no_part_and_only_completes_the_figures(saved, tmp_path, monkeypatch):
    saved["processes"] = 0  # fails
    with pytest.raises(ZeroDivisionError):
        run(monkeypatch)
    figures = json.loads(benchmark.FIGURES.read_text())
    assert [part for part in benchmark.PARTS if part in figures] == ["import", "vocabulary", "training"]
    with pytest.raises(SystemExit, match="no figures yet of: processes, lessons"):
        run(monkeypatch, "--tables")

    saved.update(processes=2, training=3)
    with pytest.raises(SystemExit, match="no figures yet of: lessons"):
        run(monkeypatch, "--only", "processes")
    run(monkeypatch, "--only", "lessons")
    complete = json.loads(benchmark.FIGURES.read_text())
    assert complete["processes"]["two_processes"]["seconds"] == 30
    assert {name: complete[name] for name in figures} == figures
    for readme in ("README.md", "README.ko.md"):
        text = (tmp_path / readme).read_text(encoding="utf-8")
        assert text.startswith("Before\n<!-- make bench -->\n") and "| 3-bert | 60 |" in text
        assert text.endswith("\n<!-- end of make bench -->\nAfter\n") and "old" not in text


def test_one_part_is_not_added_to_figures_with_other_settings(saved, monkeypatch):
    run(monkeypatch)
    before = benchmark.FIGURES.read_text()
    monkeypatch.setattr(benchmark, "FULL", SIZES | {"rows": 24})
    with pytest.raises(SystemExit, match=r"other settings \({'rows': 24}\); leave out --only"):
        run(monkeypatch, "--only", "import")
    assert benchmark.FIGURES.read_text() == before
    monkeypatch.setattr(benchmark, "FULL", SIZES | {"rows": 1000})
    with pytest.raises(SystemExit, match="needs 1,000 rows, there are 80"):
        run(monkeypatch)
    assert benchmark.FIGURES.read_text() == before


def test_the_quick_form_prints_tables_and_writes_nothing(saved, tmp_path, monkeypatch, capsys):
    run(monkeypatch, "--quick")
    shown = capsys.readouterr().out
    assert "| `import torch` alone | 60.0 | 1.00 |" in shown and "3-bert" not in shown
    assert not benchmark.FIGURES.exists() and "old" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_readme_shows_the_saved_figures(language):
    figures = json.loads(benchmark.FIGURES.read_text())
    assert figures["runs"] >= 3
    readme = "README.md" if language == "en" else f"README.{language}.md"
    shown = benchmark.MARKED.findall((ROOT / readme).read_text(encoding="utf-8"))
    assert shown == [benchmark.tables(figures, language)]


def test_a_gpu_gets_its_rows_in_the_table(monkeypatch, tmp_path):
    figures = json.loads(benchmark.FIGURES.read_text()) | {"device": "Some GPU"}
    monkeypatch.setattr(torchnlp, "device", benchmark.torch.device("cuda"))
    figures["training"] = dict.fromkeys(benchmark.contestants("training", tmp_path), figures["training"]["lesson_loop"])
    assert len(figures["training"]) == 12
    shown = benchmark.tables(figures, "en")
    assert "on Some GPU;" in shown
    assert "| **the loop of lesson 3**, bf16, compiled |" in shown and "(`finetune.py`), fp32 |" in shown

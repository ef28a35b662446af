"""scripts/benchmark.py: what it compares runs, each part is saved at once, the READMEs show what was saved."""

import json
import sys
from pathlib import Path

import pytest

import benchmark
import torchnlp
import trainings
from course.language import LANGUAGES, SOURCE
from course.notebooks import ROOT

ROWS = [(1 + i % 4, f"{topic} story, number {i}") for i, topic in enumerate(["war", "goal", '"bank"', "한글"] * 20)]
SIZES = {"runs": 2, "seeds": 2, "rows": 16, "few_rows": 8, "test_rows": 8, "many_rows": 20}
SIZES |= {"cost_rows": [8], "cost_lengths": [32]}


@pytest.fixture
def few_rows(tmp_path, monkeypatch):
    benchmark.write_rows(tmp_path / "data", ROWS, ROWS[:8])
    monkeypatch.setenv("TORCHNLP_DATA", str(tmp_path / "data"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["original_loop", "last_layer_at_cls", "plain_trainer", "lesson_loop", "finetune_script"]
)
def test_every_training_runs_and_gives_all_figures(name, few_rows, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["trainings.py", name, "--seed", "1"])
    trainings.main()
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(figures) == {"seconds", "rows_per_second", "accuracy", "gigabytes"}
    assert figures["rows_per_second"] == pytest.approx(len(ROWS) / figures["seconds"])
    assert figures["accuracy"] in [hits / 8 for hits in range(9)] and 0.1 < figures["gigabytes"] < 100


def test_a_command_that_fails_ends_the_measurement_with_its_error():
    with pytest.raises(SystemExit, match=r"(?s)ZeroDivisionError.*this command failed: -c 1/0"):
        benchmark.output_of("-c", "1/0")


def test_vocabularies_are_timed_on_rows_that_are_read_back_as_written(tmp_path):
    benchmark.write_rows(tmp_path / "many", ROWS, ROWS[:8])
    assert torchnlp.load_dataset(root=tmp_path / "many")[:2] == (ROWS, ROWS[:8])
    for contestant in benchmark.contestants("vocabulary", SIZES, tmp_path).values():
        assert 0 < contestant(seed=0)["seconds"] < 5


def test_processes_share_one_batch_and_stay_off_the_gpu(tmp_path, monkeypatch):
    seen = []

    def output_of(*command, **environment):
        options = dict(option.split("=") for option in command if "=" in option)
        seen.append((options.get("--nproc-per-node"), options["--per-device-train-batch-size"], *environment.values()))
        output = Path(command[command.index("--output-dir") + 1])
        (output / "metrics.json").write_text('{"seconds": 2, "rows_per_second": 8, "accuracy": 0.5, "loss": 1}')

    monkeypatch.setattr(benchmark, "output_of", output_of)
    for contestant in benchmark.contestants("processes", SIZES, tmp_path).values():
        assert contestant(seed=0) == {"seconds": 2, "rows_per_second": 8, "accuracy": 0.5}
    rows = str(tmp_path / "few_rows")  # then threads and GPUs
    assert seen == [(None, "16", rows, "1", ""), (None, "16", rows, "2", ""), ("2", "8", rows, "1", "")]


@pytest.fixture
def measured(few_rows, tmp_path, monkeypatch):
    """A benchmark that measures nothing: main(*options), and the names of its runs, one of which may fail."""
    readme, order = tmp_path / "README.md", []
    readme.write_text("Before\n<!-- make bench -->\nold\n<!-- end of make bench -->\nAfter\n")
    names = {"import": ["torch", "torchnlp"], "ablation": list(trainings.TRAININGS), "lessons": ["1-attention"]}

    def contestants(part, sizes, folder):
        def figures(name, seed):
            order.append((name, seed))
            if (name, seed) == order[0] and order.count(order[0]) == 3:
                raise ZeroDivisionError
            return {"seconds": 60 + seed, "rows_per_second": 1, "accuracy": seed / 2, "gigabytes": 1}

        return {name: lambda seed, name=name: figures(name, seed) for name in names[part]}

    changes = {
        "ROOT": tmp_path,
        "READMES": {LANGUAGES[-1]: readme.name},
        "FIGURES": tmp_path / "benchmark.json",
        "FULL": SIZES,
    }
    changes |= {"RUNS": tmp_path / "build", "PARTS": tuple(names), "QUICK": SIZES, "contestants": contestants}
    for name, value in changes.items():
        monkeypatch.setattr(benchmark, name, value)

    def main(*options):
        monkeypatch.setattr(sys, "argv", ["benchmark.py", *options])
        benchmark.main()

    return main, order, names


def test_each_run_is_saved_at_once_and_a_second_start_goes_on(measured, tmp_path):
    main, order, names = measured
    main("--count", "3")  # interleaved: all contestants with the first seed, then with the second
    assert order == [("torch", 0), ("torchnlp", 0), ("torch", 1)]
    figures = json.loads(benchmark.FIGURES.read_text())
    assert figures["import"]["torchnlp"]["seconds"] == 60 and "ablation" not in figures
    main("--only", "ablation")
    main()
    assert len(order) == len(set(order)) == 2 * sum(map(len, names.values()))
    figures = json.loads(benchmark.FIGURES.read_text())
    assert figures["ablation"]["mask"]["accuracy"] == [0, 0.5] and figures["lessons"]["1-attention"]["seconds"] == 60.5
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert (
        readme.startswith("Before\n")
        and readme.endswith("\nAfter\n")
        and benchmark.tables(figures, LANGUAGES[-1]) in readme
    )


def test_an_error_loses_nothing(measured, monkeypatch):
    main, order, _ = measured
    monkeypatch.setattr(benchmark, "measure_run", lambda function, seed: 1 / (2 - len(order)) and function(seed=seed))
    with pytest.raises(ZeroDivisionError):
        main()
    assert sorted(file.name for file in (benchmark.RUNS / "import").iterdir()) == ["torch-0.json", "torchnlp-0.json"]


def test_quick_writes_nothing_and_other_settings_are_refused(measured, monkeypatch, tmp_path):
    main, _, _ = measured
    monkeypatch.setattr(benchmark, "PARTS", ("import", "lessons"))
    main("--quick")
    assert not benchmark.FIGURES.exists() and not benchmark.RUNS.exists()
    assert "old" in (tmp_path / "README.md").read_text()
    main("--count", "1")
    monkeypatch.setattr(benchmark, "FULL", SIZES | {"few_rows": 4})
    with pytest.raises(SystemExit, match=r"other settings \({'few_rows': 4}\)"):
        main()
    monkeypatch.setattr(benchmark, "FULL", SIZES | {"rows": 1000})
    with pytest.raises(SystemExit, match="80 rows to train and 8 to test: use AG News"):
        main()


def test_seconds_come_from_undisturbed_runs_and_accuracies_from_all(measured):
    good, sizes = {"seconds": 10, "gigabytes": 1, "accuracy": 0.5, "threads": 2, "others": 0.0}, SIZES | {"cores": 2}
    runs = [good, good | {"seconds": 99, "others": 0.9}, good | {"seconds": 77, "threads": 1, "accuracy": 0.7}]
    for name in trainings.TRAININGS:
        assert benchmark.summary("ablation", sizes, benchmark.RUNS) is None
        for seed, run in enumerate(runs):
            benchmark.write_json(benchmark.RUNS / "ablation" / f"{name}-{seed}.json", run)
    found = benchmark.summary("ablation", sizes, benchmark.RUNS)["mask"]
    assert found == {"accuracy": [0.5, 0.5, 0.7], "seconds": [10], "gigabytes": 1}


def test_what_other_programs_compute_is_noticed(monkeypatch):
    clock = iter([0.0, 10.0])
    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: next(clock))
    machine, own = iter([(100, 5), (125, 20)]), {"x": 1}
    monkeypatch.setattr(benchmark, "computed_seconds", lambda: next(machine))
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert benchmark.measure_run(lambda seed: own, 0) == {"x": 1, "threads": 2, "others": 1.0}


@pytest.mark.parametrize("language", benchmark.READMES)
def test_the_readme_shows_the_saved_figures(language):
    figures = json.loads(benchmark.FIGURES.read_text())
    readme = (ROOT / benchmark.READMES[language]).read_text(encoding="utf-8")
    assert benchmark.MARKED.findall(readme) == [benchmark.tables(figures, language)]


def test_a_gpu_is_named_in_the_tables():
    figures = json.loads(benchmark.FIGURES.read_text()) | {"device": "Some GPU"}
    assert "on Some GPU," in benchmark.tables(figures, SOURCE)

"""Measure what the course says about speed and memory; print it and write it into the README.

python scripts/benchmark.py               what is missing, three hours for all; writes benchmark.json, the READMEs
python scripts/benchmark.py --count 1     only the next missing run, to measure in pieces; with --only of one part
python scripts/benchmark.py --quick       a short form of it in a few minutes, printed only

Contestants are interleaved, every training in a fresh process. Each run is saved in build/benchmark/ as soon as it is
measured: a second start goes on where the first one stopped, and `make clean` forgets all runs.
"""

import argparse
import contextlib
import csv
import io
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean, median, stdev

import jinja2
import psutil
import torch
import transformers
from torchtext.data.utils import get_tokenizer
from torchtext.vocab import Vocab

import torchnlp
from course import cost
from course.files import atomic_write, write_json
from course.finetuning import has_bf16
from course.language import LANGUAGES, SOURCE, WORDS, document
from course.notebooks import LESSONS, ROOT
from trainings import ENCODER, ONE_EPOCH, TRAININGS

FIGURES = ROOT / "scripts" / "benchmark.json"
RUNS = ROOT / "build" / "benchmark"
TEMPLATES = ROOT / "scripts" / "templates"
READMES = {language: document("README", language) for language in LANGUAGES}
MARKED = re.compile(r"(?<=<!-- make bench -->\n).*?(?=\n<!-- end of make bench -->)", re.DOTALL)
PARTS = ("import", "vocabulary", "cost", "processes", "ablation", "lessons")
FULL = {"runs": 3, "seeds": 5, "rows": 4000, "few_rows": 1600, "test_rows": 3800, "many_rows": 120_000}
FULL |= {"cost_rows": [1000, 2000, 4000, 8000, 16_000], "cost_lengths": [32, 64, 128, 256]}
QUICK = {"runs": 1, "seeds": 1, "rows": 160, "few_rows": 96, "test_rows": 200, "many_rows": 20_000}
QUICK |= {"cost_rows": [64, 128], "cost_lengths": [32, 64]}
COST, PROCESSES = ("seconds", "gigabytes", "operations", "train_rows"), ("seconds", "rows_per_second", "accuracy")
DISTURBED = 0.15  # if other programs used more cores than that, the seconds of a run do not count


def contestants(part: str, sizes: dict, folder: Path) -> dict[str, Callable[..., dict]]:
    """What is compared in a part: names, and functions that return figures, called with seed=..."""
    if part == "import":
        return {module: partial(timed, output_of, "-c", f"import {module}") for module in ("torchnlp", "torch")}
    if part == "vocabulary":
        load = partial(timed, torchnlp.load_dataset, root=folder / "many")
        return {"load_dataset": load, "plain_loop": partial(timed, count_words, folder / "many" / "train.csv")}
    if part == "ablation":
        return {name: partial(train_in_fresh_process, name, folder / "rows") for name in TRAININGS}
    if part == "cost":
        run = partial(finetune, COST)
        runs = {f"rows {n}": partial(run, folder / "many", f"--max-train-rows={n}") for n in sizes["cost_rows"]}
        few = f"--max-train-rows={sizes['cost_rows'][0]}"
        for length in sizes["cost_lengths"]:
            runs[f"length {length}"] = partial(run, folder / "long", few, f"--max-length={length}")
        return runs | {"base": partial(run, folder / "many", few, "--model-name-or-path", base_model(folder / "base"))}
    if part == "processes":
        cases = {"one_process_one_thread": (1, 1), "one_process_two_threads": (1, 2), "two_processes": (2, 1)}
        return {name: partial(finetune_in_processes, folder / "few_rows", *case) for name, case in cases.items()}
    return {name: partial(timed, output_of, "scripts/execute.py", SOURCE, name) for name in LESSONS}


def timed(function: Callable, *args, seed: int = 0, **kwargs) -> dict[str, float]:
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        function(*args, **kwargs)
    return {"seconds": time.perf_counter() - start}


def count_words(file: Path) -> None:
    """The vocabulary in a plain loop, text by text, without any check."""
    tokenize, counter = get_tokenizer("basic_english"), Counter()
    with file.open(encoding="utf-8", newline="") as lines:
        for _, *columns in csv.reader(lines):
            counter.update(tokenize(" ".join(columns)))
    Vocab(counter)


def train_in_fresh_process(name: str, folder: Path, seed: int = 0) -> dict[str, float]:
    printed = output_of("scripts/trainings.py", name, f"--seed={seed}", TORCHNLP_DATA=str(folder))
    return json.loads(printed.splitlines()[-1])


def finetune(names: tuple, folder: Path, *options: str, seed: int = 0, launcher: tuple = (), **environment) -> dict:
    """One epoch of finetune.py on the rows in a folder; the figures of its metrics.json that have these names."""
    with tempfile.TemporaryDirectory() as output:
        options = [*ONE_EPOCH, *options, f"--seed={seed}", "--output-dir", output]
        output_of(*launcher, "scripts/finetune.py", *options, TORCHNLP_DATA=str(folder), **environment)
        metrics = json.loads((Path(output) / "metrics.json").read_text())
    return {name: metrics[name] for name in names}


def finetune_in_processes(folder: Path, processes: int, threads: int, seed: int = 0) -> dict[str, float]:
    """finetune.py on the processor in any case, 16 texts in a batch of all processes."""
    launcher = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}")
    launcher = launcher if processes > 1 else ()
    size, machine = 16 // processes, {"OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ""}
    options = ("--bf16=false", f"--per-device-train-batch-size={size}")
    return finetune(PROCESSES, folder, *options, seed=seed, launcher=launcher, **machine)


def base_model(folder: Path) -> str:
    """A model of BERT-base's shape with random weights, which cost as much as trained ones; made if it is not there."""
    if not (folder / "model.safetensors").is_file():
        transformers.AutoTokenizer.from_pretrained(ENCODER).save_pretrained(folder)
        transformers.BertForSequenceClassification(transformers.BertConfig()).save_pretrained(folder)
    return str(folder)


def output_of(*command: str, **environment: str) -> str:
    """What a Python command prints, run in the root of the repository; exits with its error if it fails."""
    environment = os.environ | environment
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{done.stderr[-3000:]}\nbenchmark.py: this command failed: {' '.join(command)}")
    return done.stdout


def computed_seconds() -> tuple[float, float]:
    """Seconds for which all programs of the machine have computed so far, and for which this one and its children."""
    machine, own = psutil.cpu_times(), os.times()
    return machine.user + machine.system + getattr(machine, "nice", 0), sum(own[:4])


def measure_run(function: Callable[..., dict], seed: int) -> dict:
    """The figures of one run, and on how many threads it ran beside how many busy cores of other programs."""
    start, (machine, own) = time.perf_counter(), computed_seconds()
    figures = function(seed=seed)
    machine_after, own_after = computed_seconds()
    others = (machine_after - machine - (own_after - own)) / (time.perf_counter() - start)
    return figures | {"threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())), "others": max(0.0, others)}


def measure_missing(part: str, sizes: dict, runs: Path, count: int | None = None) -> int:
    """Measure the missing runs of a part, contestants interleaved, `count` at most; give how many there were."""
    functions = contestants(part, sizes, runs / "rows")
    seeds = sizes["seeds" if part == "ablation" else "runs"]
    files = {
        runs / part / f"{name}-{seed}.json": (functions[name], seed) for seed in range(seeds) for name in functions
    }
    missing = [file for file in files if not file.is_file()][:count]
    for file in missing:
        write_json(file, measure_run(*files[file]))
        print(f"{time.strftime('%H:%M:%S')} {part} {file.stem}: {json.loads(file.read_text())}", flush=True)
    return len(missing)


def summary(part: str, sizes: dict, runs: Path) -> dict | None:
    """What the runs of a part give together: medians, or each run of the ablation. None if a contestant has no run yet.

    Seconds come from runs that had the machine for themselves, or from the least disturbed one; accuracies from all.
    """
    figures = {}
    for name in contestants(part, sizes, runs / "rows"):
        files = sorted((runs / part).glob(f"{name}-[0-9]*.json"))
        if not files:
            return None
        seen = [json.loads(file.read_text()) for file in files]
        fast = [run for run in seen if run["threads"] >= sizes["cores"]] or seen
        alone = [run for run in fast if run["others"] <= DISTURBED] or [min(fast, key=lambda run: run["others"])]
        figures[name] = {figure: median(run[figure] for run in alone) for figure in seen[0]}
        if part == "ablation":
            each = {"accuracy": [run["accuracy"] for run in seen], "seconds": [run["seconds"] for run in alone]}
            figures[name] = each | {"gigabytes": figures[name]["gigabytes"]}
    return figures


def prepare(quick: bool, runs: Path) -> dict:
    """The settings of the measurement, and its rows in files. Exits if saved runs have other settings."""
    sizes = QUICK if quick else FULL
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        train, test, _, _ = torchnlp.load_dataset()
    settings = sizes | {"cores": os.cpu_count(), "data": printed.getvalue().splitlines()[0].split(" (")[0]}
    settings["processor"] = torch.cpu.get_capabilities().get("cpu_name", "unknown")
    settings["device"] = torch.cuda.get_device_name() if torchnlp.device.type == "cuda" else None
    settings["bf16"] = has_bf16()
    if sizes["rows"] > len(train) or sizes["test_rows"] > len(test):
        sys.exit(f"benchmark.py: {len(train):,} rows to train and {len(test):,} to test: use AG News, or --quick")
    file = runs / "settings.json"
    saved = json.loads(file.read_text()) if file.is_file() else settings
    if other := {name: value for name, value in settings.items() if saved.get(name) != value}:
        sys.exit(f"benchmark.py: the runs in build/ were measured with other settings ({other}): `make clean` first")
    if not file.is_file():
        many = [train[i % len(train)] for i in range(sizes["many_rows"])]
        rows, test = random.Random(0).sample(train, sizes["rows"]), random.Random(0).sample(test, sizes["test_rows"])
        long = [(label, " ".join([text] * 20)) for label, text in rows[: sizes["cost_rows"][0]]]
        write_rows(runs / "rows" / "many", many, test[:200])
        write_rows(runs / "rows" / "rows", rows, test)
        write_rows(runs / "rows" / "long", long, test[:200])
        write_rows(runs / "rows" / "few_rows", rows[: sizes["few_rows"]], test[:200])
        write_json(file, settings)
    return settings


def write_rows(folder: Path, train: list, test: list) -> None:
    """Write rows as `load_dataset` reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in {"train.csv": train, "test.csv": test}.items():
        with open(folder / name, "w", encoding="utf-8", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)


def measure(quick: bool, only: str | None, count: int | None, runs: Path) -> dict:
    """Measure what is missing of all parts or of one; return the figures of all parts that are complete."""
    settings = prepare(quick, runs)
    figures = {} if quick or not FIGURES.is_file() else json.loads(FIGURES.read_text(encoding="utf-8"))
    if any(figures.get(name) != value for name, value in settings.items()):
        figures = settings
    for part in [only] if only else PARTS[:-1] if quick else PARTS:
        measured = measure_missing(part, settings, runs, count)
        if found := summary(part, settings, runs):
            figures[part] = found
            if not quick:
                write_json(FIGURES, figures)
        if count and (count := count - measured) <= 0:
            break
    return figures


def tables(figures: dict, language: str) -> str:
    """The figures in Markdown; parts that were not measured are left out."""
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters |= {"mean": mean, "median": median, "stdev": stdev}
    environment.filters["duration"] = cost.duration
    forecasts = cost.forecasts(figures["cost"]) if "cost" in figures else {}
    template = environment.get_template("benchmark.md.j2")
    return template.render(figures=figures, forecasts=forecasts, words=WORDS[language]["benchmark"]).strip()


def write_readmes(figures: dict) -> None:
    """Write the tables of all parts that were measured between the markers of each README."""
    for language, name in READMES.items():
        before, after = MARKED.split((ROOT / name).read_text(encoding="utf-8"))
        with atomic_write(ROOT) as folder:
            (folder / name).write_text(before + tables(figures, language) + after, encoding="utf-8")
    if missing := [part for part in PARTS if part not in figures]:
        print(f"not measured yet: {', '.join(missing)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    task = parser.add_mutually_exclusive_group()
    task.add_argument("--quick", action="store_true", help="few rows, one run, no lessons; nothing is kept")
    task.add_argument("--only", choices=PARTS, help="measure one part, keep the figures of the others")
    task.add_argument("--tables", action="store_true", help="only write the READMEs again, from benchmark.json")
    parser.add_argument("--count", type=int, help="measure so many of the missing runs at most")
    options = parser.parse_args()
    if options.quick:
        with tempfile.TemporaryDirectory() as folder:
            print(tables(measure(True, None, None, Path(folder)), SOURCE))
        return
    figures = json.loads(FIGURES.read_text()) if options.tables else measure(False, options.only, options.count, RUNS)
    print(tables(figures, SOURCE))
    write_readmes(figures)
    if "cost" in figures:
        output_of("images/draw.py", "cost-of-training.png")
    print("written to scripts/benchmark.json, the READMEs and images/cost-of-training.png")


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"scripts/benchmark.py: {error}; the runs that were finished are kept")

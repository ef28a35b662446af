"""Measure what the course says about speed and memory; print it and write it into the README.

python scripts/benchmark.py            everything, about an hour on two cores; writes benchmark.json and the READMEs
python scripts/benchmark.py --quick    a short form of it in two minutes, printed only

Contestants are interleaved, several runs of each, every training in a fresh process, and the medians are taken.
Each part is saved as soon as it is measured, so that --only can measure what is missing after an error.
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
import tomllib
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import jinja2
import torch
from torchtext.data.utils import get_tokenizer
from torchtext.vocab import Vocab
from tqdm import tqdm

import torchnlp
from course.files import write_json
from course.notebooks import LANGUAGES, LESSONS, ROOT
from trainings import GPU_VARIANTS, ONE_EPOCH, TRAININGS

FIGURES = ROOT / "scripts" / "benchmark.json"
TEMPLATES = ROOT / "scripts" / "templates"
READMES = {language: "README.md" if language == "en" else f"README.{language}.md" for language in LANGUAGES}
MARKED = re.compile(r"(?<=<!-- make bench -->\n).*?(?=\n<!-- end of make bench -->)", re.DOTALL)
PARTS = ("import", "vocabulary", "training", "processes", "lessons")
FULL = {"runs": 3, "rows": 4000, "few_rows": 1600, "test_rows": 3800, "vocabulary_rows": 120_000}
QUICK = {"runs": 1, "rows": 160, "few_rows": 96, "test_rows": 200, "vocabulary_rows": 20_000}


def contestants(part: str, folder: Path) -> dict[str, Callable[[], dict]]:
    """What is compared in a part: names and functions that return figures; `folder` holds the rows."""
    if part == "import":
        return {module: partial(timed, output_of, "-c", f"import {module}") for module in ("torchnlp", "torch")}
    if part == "vocabulary":
        load = partial(timed, torchnlp.load_dataset, root=folder / "vocabulary")
        return {"load_dataset": load, "plain_loop": partial(timed, count_words, folder / "vocabulary" / "train.csv")}
    if part == "training":
        names = [*TRAININGS, *(GPU_VARIANTS if torchnlp.device.type == "cuda" else [])]
        return {name: partial(train_in_fresh_process, name, folder / "rows") for name in names}
    if part == "processes":
        cases = {"one_process_one_thread": (1, 1), "one_process_two_threads": (1, 2), "two_processes": (2, 1)}
        return {name: partial(launch_finetune, folder / "few_rows", *case) for name, case in cases.items()}
    return {name: partial(timed, output_of, "scripts/execute.py", "en", name) for name in LESSONS}


def timed(function: Callable, *args, **kwargs) -> dict[str, float]:
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


def train_in_fresh_process(name: str, folder: Path) -> dict[str, float]:
    printed = output_of("scripts/trainings.py", *name.split(), TORCHNLP_DATA=str(folder))
    return json.loads(printed.splitlines()[-1])


def launch_finetune(folder: Path, processes: int, threads: int) -> dict[str, float]:
    """finetune.py on the processor in any case, 16 texts in a batch of all processes."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    machine = {"TORCHNLP_DATA": str(folder), "OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ""}
    command = [*(launcher if processes > 1 else []), "scripts/finetune.py", *ONE_EPOCH, "--bf16=false"]
    with tempfile.TemporaryDirectory() as output:
        output_of(*command, f"--per-device-train-batch-size={16 // processes}", "--output-dir", output, **machine)
        metrics = json.loads((Path(output) / "metrics.json").read_text())
    return {name: metrics[name] for name in ("seconds", "rows_per_second", "accuracy")}


def output_of(*command: str, **environment: str) -> str:
    """What a Python command prints, run in the root of the repository; exits with its error if it fails."""
    environment = os.environ | environment
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{done.stderr[-3000:]}\nbenchmark.py: this command failed: {' '.join(command)}")
    return done.stdout


def interleaved(runs: int, functions: dict[str, Callable[[], dict]], title: str) -> dict[str, dict]:
    """Run all functions one after the other, `runs` times over; return the medians of their figures."""
    results: dict[str, list[dict]] = {name: [] for name in functions}
    for name in tqdm([*functions] * runs, desc=title, unit="run"):
        results[name].append(functions[name]())
    return {name: {figure: median(run[figure] for run in seen) for figure in seen[0]} for name, seen in results.items()}


def measure(quick: bool, only: str | None) -> dict:
    """Measure all parts or one, and save each at once; figures measured under the same settings are kept."""
    sizes = QUICK if quick else FULL
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        train, test, _, _ = torchnlp.load_dataset()
    settings = sizes | {"cores": os.cpu_count(), "data": printed.getvalue().splitlines()[0].split(" (")[0]}
    settings["processor"] = torch.cpu.get_capabilities().get("cpu_name", "unknown")
    settings["device"] = torch.cuda.get_device_name() if torchnlp.device.type == "cuda" else None
    figures = {} if quick or not FIGURES.is_file() else json.loads(FIGURES.read_text(encoding="utf-8"))
    if other := {name: value for name, value in settings.items() if figures.get(name) != value}:
        if only:
            sys.exit(f"benchmark.py: the saved figures were measured with other settings ({other}); leave out --only")
        figures = settings
    if sizes["rows"] > len(train) or sizes["test_rows"] > len(test):
        sys.exit(f"benchmark.py: {len(train):,} rows to train and {len(test):,} to test: use AG News, or --quick")
    many = [train[i % len(train)] for i in range(sizes["vocabulary_rows"])]
    rows, test = (random.Random(0).sample(part, sizes[name]) for part, name in ((train, "rows"), (test, "test_rows")))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder / "vocabulary", many, test)
        write_rows(folder / "rows", rows, test)
        write_rows(folder / "few_rows", rows[: sizes["few_rows"]], test[:200])
        for part in [only] if only else PARTS[:-1] if quick else PARTS:
            figures[part] = interleaved(sizes["runs"], contestants(part, folder), part)
            if not quick:
                write_json(FIGURES, figures)
    return figures


def write_rows(folder: Path, train: list, test: list) -> None:
    """Write rows as `load_dataset` reads them."""
    folder.mkdir(exist_ok=True)
    for name, rows in {"train.csv": train, "test.csv": test}.items():
        with open(folder / name, "w", encoding="utf-8", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)


def tables(figures: dict, language: str) -> str:
    """The figures in Markdown; parts that were not measured are left out."""
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True)
    words = tomllib.loads((TEMPLATES / f"benchmark.{language}.toml").read_text(encoding="utf-8"))
    return environment.get_template("benchmark.md.j2").render(figures=figures, words=words).strip()


def write_readmes(figures: dict) -> None:
    """Write the tables between the markers of each README, if every part was measured."""
    if missing := [part for part in PARTS if part not in figures]:
        sys.exit(f"benchmark.json has no figures yet of: {', '.join(missing)}; measure each with --only")
    for language, name in READMES.items():
        before, after = MARKED.split((ROOT / name).read_text(encoding="utf-8"))
        (ROOT / name).write_text(before + tables(figures, language) + after, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    task = parser.add_mutually_exclusive_group()
    task.add_argument("--quick", action="store_true", help="few rows, one run, no lessons; nothing is written")
    task.add_argument("--only", choices=PARTS, help="measure one part, keep the figures of the others")
    task.add_argument("--tables", action="store_true", help="only write the READMEs again, from benchmark.json")
    options = parser.parse_args()
    figures = json.loads(FIGURES.read_text()) if options.tables else measure(options.quick, options.only)
    print(tables(figures, "en"))
    if not options.quick:
        write_readmes(figures)
        print("written to scripts/benchmark.json and the READMEs")


if __name__ == "__main__":
    main()

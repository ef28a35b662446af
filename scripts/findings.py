"""Which findings of the lessons hold with other seeds, and on data of the official size.

python scripts/findings.py                         seeds 0 to 9, on the data that TORCHNLP_DATA names
python scripts/findings.py --seeds 3 5 --lessons 1-attention
python scripts/findings.py --official-size         on 120,000 training and 7,600 test rows made from those rows

Each run is kept in build/findings/ as soon as it is finished, so a second start only does what is missing.
"""

import argparse
import copy
import csv
import json
import os
import random
import re
import sys
from collections import defaultdict
from pathlib import Path

import torchnlp
from course.files import atomic_write, write_json
from course.language import SOURCE
from course.notebooks import LESSONS, ROOT, code_cells, read
from execute import execute

FOLDER = ROOT / "build" / "findings"
OFFICIAL_ROWS = {"train.csv": 120_000, "test.csv": 7_600}
NEW_WORDS = 70_000  # with those of the rows at hand the vocabulary of the official files, about 90,000
LINE = re.compile(r"^(✓ holds|✗ does not hold) here: (.*)", re.MULTILINE)  # what course/claims.py prints


def write_official_size(folder: Path) -> None:
    """Rows in the number of the official files: those at hand again and again, each time with another made-up word."""
    rng = random.Random(0)
    with atomic_write(folder) as partial:
        for (name, count), rows in zip(OFFICIAL_ROWS.items(), torchnlp.load_dataset()[:2], strict=True):
            with (partial / name).open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                for i in range(count):
                    label, text = rows[i % len(rows)]
                    words = text.split()
                    words[rng.randrange(len(words))] = f"zq{rng.randrange(NEW_WORDS)}"
                    writer.writerow([label, " ".join(words)])


def run(lesson: str, seed: int) -> dict:
    """Execute an English lesson with another seed: {"seed", "failure", "findings": [[holds, line], ...]}"""
    notebook = copy.deepcopy(read(SOURCE, lesson))
    for cell in code_cells(notebook):
        cell.source = re.sub(r"\b((?:random\.|manual_)seed)\(0\)", rf"\1({seed})", cell.source)
    notebook, failure = execute(notebook, ROOT / "notebooks" / SOURCE / f"{lesson}.ipynb")
    printed = [output.get("text", "") for cell in code_cells(notebook) for output in cell.outputs]
    findings = [[mark.startswith("✓"), line] for text in printed for mark, line in LINE.findall(text)]
    return {"seed": seed, "failure": failure, "findings": findings}


def report(lesson: str, runs: list[dict]) -> None:
    """Print for each finding of a lesson with how many seeds it held, and what came where it did not."""
    print(f"\n{lesson}: {len(runs)} runs, {sum(not run['failure'] for run in runs)} from top to bottom")
    held, missed = defaultdict(int), defaultdict(list)
    for run in runs:
        for holds, line in run["findings"]:
            finding, measured = re.fullmatch(r"(.*?) \((.*)\)", line).groups()
            held[finding] += holds
            if not holds:
                missed[finding].append(f"seed {run['seed']}: {measured}")
    for finding, count in held.items():
        print(f"  {count:2}  {finding}" + "".join(f"\n          {line}" for line in missed[finding]))
    for run in runs:
        if run["failure"]:
            print(f"  seed {run['seed']} {run['failure']}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(10)))
    parser.add_argument("--lessons", nargs="+", choices=LESSONS, default=LESSONS)
    parser.add_argument("--official-size", action="store_true", help="on rows in the number of the official files")
    options = parser.parse_args(arguments)
    data = "given"
    if options.official_size:
        data = "official-size"
        if not all((FOLDER / data / name).is_file() for name in OFFICIAL_ROWS):
            write_official_size(FOLDER / data)
        os.environ["TORCHNLP_DATA"] = str(FOLDER / data)
    for lesson in options.lessons:
        files = [FOLDER / f"{data}-{lesson}-{seed}.json" for seed in options.seeds]
        for seed, file in zip(options.seeds, files, strict=True):
            if not file.is_file():
                write_json(file, run(lesson, seed))
        report(lesson, [json.loads(file.read_text(encoding="utf-8")) for file in files])
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:
        sys.exit(f"scripts/findings.py: {error}; runs that were finished are kept")

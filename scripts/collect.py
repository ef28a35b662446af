"""Check the exercises in the notebooks of a class: one row for each student and exercise, and a page to look at.

python scripts/collect.py FOLDER                       results in build/class/: results.csv and results.html
python scripts/collect.py FOLDER --output results.csv  ... and results.html beside it

Only the cells of exercises run, each notebook in a sandbox of its own (see judge.py), with limits of time and memory.
The hidden inputs are not those that the students saw, and what is expected is not where the answers run. A notebook
FOLDER/ann/1-attention.ipynb belongs to ann, and so does FOLDER/ann-1-attention.ipynb. A second run checks only what is
new or has changed.
"""

import argparse
import csv
import hashlib
import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import unicodedata
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from tqdm import tqdm

import judge
from course.exercises import EXERCISES
from course.files import atomic_write, sha256
from course.language import LANGUAGES, SOURCE, WORDS
from course.notebooks import LESSONS, ROOT

COLUMNS = ["student", "lesson", "exercise", "result", "hint"]
MARKS = {"solved": "✓", "wrong": "✗", "open": "○", "timeout": "∞", "error": "!"}  # the best first
NOTEBOOK_MEGABYTES = 50
TEMPLATES = Path(__file__).resolve().parent / "templates"
NOTICE = """No sandbox: {reason}.
Python itself refuses to write, to delete, to start programs and to connect, and time and memory are limited: that
stops accidents, not a student who means harm. For such notebooks use Linux with bubblewrap
(Debian, Ubuntu: sudo apt-get install bubblewrap), or a computer that may be lost."""


def student_of(path: Path, folder: Path) -> str:
    """Whose notebook it is: by the folder that it lies in, or by its name without that of the lesson."""
    first, *rest = path.relative_to(folder).parts
    name = first if rest else path.stem
    for lesson in [] if rest else LESSONS:
        name = name.replace(lesson, "").strip(" -_.") or name
    return plain(unicodedata.normalize("NFC", name))


def plain(text: str) -> str:
    """A text for a cell of a table: one line, and never a formula to a spreadsheet."""
    text = " ".join(text.encode("utf-8", "replace").decode().split())[:300]
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def answers_in(path: Path) -> tuple[str, dict[str, str | None]]:
    """The lesson of a student's notebook and `{number: code}` of its exercises; None for a cell that is not there.

    Raises:
        ValueError: it is no notebook, or none of this course; with the name of the reason.
    """
    if path.stat().st_size > NOTEBOOK_MEGABYTES * 1e6:
        raise ValueError("size")
    try:
        cells = [cell for cell in json.loads(path.read_text("utf-8-sig"))["cells"] if cell["cell_type"] == "code"]
        codes = [(str(cell.get("id")), "".join(cell["source"])) for cell in cells]
    except Exception:  # whatever else may be in a file
        raise ValueError("no_notebook") from None
    found = {id.removeprefix("exercise-").replace("-", "."): code for id, code in codes if id.startswith("exercise-")}
    if not found:  # an editor that drops the ids keeps the order: an exercise stands before its check
        for (_, before), (_, code) in zip(codes, codes[1:], strict=False):
            for number in re.findall(r'^check\("(\d+\.\d+)"', code, re.MULTILINE):
                found[number] = before
    numbers = [number for number in EXERCISES if number in found]
    if not numbers:
        raise ValueError("foreign")
    lesson = Counter(number[0] for number in numbers).most_common()[0][0]
    return LESSONS[int(lesson) - 1], {number: found.get(number) for number in EXERCISES if number[0] == lesson}


def check_notebook(path: Path, student: str, options: argparse.Namespace) -> list[dict]:
    """The rows of one notebook."""
    try:
        lesson, codes = answers_in(path)
    except (OSError, ValueError) as error:
        reason = (
            str(error) if isinstance(error, OSError) else judge.tell(options, str(error), megabytes=NOTEBOOK_MEGABYTES)
        )
        return [dict(zip(COLUMNS, [student, "", "", "error", plain(f"{path.name}: {reason}")], strict=True))]
    there = [(number, code) for number, code in codes.items() if code is not None]
    results = dict.fromkeys(codes, ("error", judge.tell(options, "missing")))
    results |= dict(zip(dict(there), judge.check_answers(lesson, there, options), strict=True))
    return [
        dict(zip(COLUMNS, [student, lesson, number, results[number][0], plain(results[number][1])], strict=True))
        for number in codes
    ]


def best(rows: list[dict]) -> list[dict]:
    """One row for each student and exercise: the best, if a student handed in a lesson twice."""
    chosen = {}
    for row in sorted(rows, key=lambda row: list(MARKS).index(row["result"])):
        chosen.setdefault((row["student"], row["exercise"] or row["hint"]), row)
    return sorted(chosen.values(), key=lambda row: (row["student"], row["exercise"]))


def page_of(rows: list[dict], language: str) -> str:
    """The page of the class."""
    exercises = [row for row in rows if row["exercise"]]
    numbers = [number for number in EXERCISES if any(row["exercise"] == number for row in exercises)]
    students = {row["student"]: {} for row in exercises}
    for row in exercises:
        students[row["student"]][row["exercise"]] = row
    page = Environment(loader=FileSystemLoader(TEMPLATES / "course"), autoescape=True, trim_blocks=True)
    return page.get_template("class.html.j2").render(
        language=language,
        words=WORDS[language]["class"],
        marks=MARKS,
        numbers=numbers,
        students=students,
        solved=Counter(row["exercise"] for row in exercises if row["result"] == "solved"),
        hints=Counter((row["exercise"], row["hint"]) for row in rows if row["result"] == "wrong").most_common(15),
        unread=[row for row in rows if not row["exercise"]],
        told=[row for row in exercises if row["hint"]],
    )


def write_results(rows: list[dict], checked: dict, options: argparse.Namespace) -> None:
    """The table, the page, and what a second run needs to know."""
    output, html = options.output, page_of(rows, options.language)
    with atomic_write(output.parent) as folder:
        with (folder / output.name).open("w", encoding="utf-8-sig", newline="") as file:  # as spreadsheets expect it
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        (folder / output.with_suffix(".html").name).write_text(html, encoding="utf-8")
        (folder / output.with_suffix(".json").name).write_text(json.dumps(checked), encoding="utf-8")


def key_of(path: Path, options: argparse.Namespace) -> str:
    """What the rows of a notebook depend on: it has to be checked again if this changes."""
    try:
        content = sha256(path) if path.stat().st_size <= NOTEBOOK_MEGABYTES * 1e6 else "large"
    except OSError as error:
        content = str(error)
    name = path.relative_to(options.folder).as_posix()
    how = (options.language, options.seed, options.seconds, options.gigabytes, checks())
    return " ".join(map(str, [name, content, *how]))


def checks() -> str:
    """A checksum of the checks and hints."""
    files = [path for path in sorted((ROOT / "course" / "exercises").rglob("*")) if path.suffix in (".py", ".toml")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def read_checked(file: Path) -> dict[str, list[dict]]:
    """The rows of an earlier run by the keys of their notebooks; none if there was no run, or its record is damaged."""
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def check_class(files: list[Path], options: argparse.Namespace) -> list[dict]:
    """The rows of all notebooks; what is finished is written after each one, so that a run may be stopped."""
    before = read_checked(options.output.with_suffix(".json"))
    keys = {path: key_of(path, options) for path in files}
    checked = {key: before[key] for key in keys.values() if key in before}

    def rows() -> list[dict]:
        return best([row for key in keys.values() for row in checked.get(key, [])])

    waiting = [path for path, key in keys.items() if key not in checked]
    if len(waiting) < len(files):
        print(f"{len(files) - len(waiting)} of {len(files)} notebooks were checked before")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(len(waiting), os.cpu_count()) or 1, context, initializer=ignore_ctrl_c) as pool:
        tasks = {
            pool.submit(check_notebook, path, student_of(path, options.folder), options): keys[path] for path in waiting
        }
        try:
            for task in tqdm(as_completed(tasks), desc="notebooks", total=len(tasks), unit="notebook"):
                checked[tasks[task]] = task.result()
                write_results(rows(), checked, options)
        except BaseException:  # Ctrl-C, for one
            pool.shutdown(wait=False, cancel_futures=True)
            judge.kill(*[process.pid for process in multiprocessing.active_children()])
            raise
    write_results(rows(), checked, options)
    return rows()


def ignore_ctrl_c() -> None:
    """In the processes of the pool: the first one hears it, and ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="with the notebooks, in folders of students or not")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "class" / "results.csv")
    parser.add_argument("--language", choices=LANGUAGES, default=SOURCE, help="of the hints")
    parser.add_argument("--seconds", type=float, default=30, help="for each exercise (%(default)s)")
    parser.add_argument("--gigabytes", type=float, default=4, help="of memory for each notebook (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the hidden inputs (%(default)s; 0 gives the students')")
    options = parser.parse_args(arguments)
    if options.folder is None:
        parser.error("name the folder with the students' notebooks: make collect FOLDER=path/to/notebooks")
    options.folder, options.output = options.folder.expanduser(), options.output.with_suffix(".csv")
    files = [path for path in options.folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts]
    files = sorted(path for path in files if path.is_file())
    if not files:
        parser.error(f"there is no notebook (*.ipynb) in {options.folder}")
    reason = judge.why_no_sandbox()
    options.bubblewrap, options.hidden = not reason, judge.hidden_folders(options.folder)
    if reason:
        print(NOTICE.format(reason=reason), file=sys.stderr)
    try:
        with tempfile.TemporaryDirectory(prefix="collect-", ignore_cleanup_errors=True) as options.place:
            rows = check_class(files, options)
    except judge.CannotStart as error:
        sys.exit(f"scripts/collect.py: {error}; what was finished before is kept")
    count = Counter(row["result"] for row in rows)
    print(f"{len(files)} notebooks: " + ", ".join(f"{count[result]} {result}" for result in MARKS))
    print(f"table: {options.output}; page: {options.output.with_suffix('.html')}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("stopped; what was finished before is kept: the same command goes on", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        sys.exit(f"scripts/collect.py: {error}")

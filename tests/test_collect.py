"""scripts/collect.py on the notebooks of a class: good, half-done, wrong, broken and hostile ones."""

import copy
import csv
import os
import shutil
import subprocess
import sys
import unicodedata
from argparse import Namespace

import nbformat
import pytest

import collect
import judge
from course.exercises import EXERCISES, examine, hint_text
from course.language import SOURCE, TRANSLATIONS
from course.notebooks import LESSONS, NOTEBOOKS, ROOT, read, sources
from students import STUDENTS, answers, code_of

LESSON = "1-attention"
NUMBERS = [number for number in EXERCISES if number[0] == "1"]
SOLUTION = ROOT / "notebooks" / SOURCE / "solutions" / f"{LESSON}.ipynb"
OK = ("solved", "")
WRITE_EVERYWHERE = """import os
for n in range(3, 30):
    try: os.write(n, {!r})
    except OSError: continue
"""
# what a student hands in for exercise 1.2, the result, and what the hint says; {folder} is that of the class
HOSTILE = {
    "loop": ("while True: pass", "timeout", "more than 6 seconds"),
    "loop inside": ("def bilinear_scores(*_):\n    while True: pass", "timeout", "more than 6 seconds"),
    "exit": ("import os; os._exit(0)", "error", "it ended its own Python"),
    "quit": ("import sys; sys.exit(0)", "error", "SystemExit"),
    "memory": ("numbers = bytearray(20 * 2**30)", "error", "MemoryError"),
    "delete": ("import shutil; shutil.rmtree({folder!r}, ignore_errors=True)", "error", "may not use shutil.rmtree"),
    "delete one": ("import os; os.remove({folder!r} + '/a.txt')", "error", "may not use os.remove"),
    "write": ("open({folder!r} + '/mine', 'w')", "error", "may not write mine"),
    "start": ("import subprocess; subprocess.run(['touch', {folder!r} + '/mine'])", "error", "may not use subprocess"),
    "connect": ("import socket; socket.create_connection(('127.0.0.1', 9), 5)", "error", "may not use socket"),
    "syntax": ("def bilinear_scores(:", "error", "SyntaxError"),
    "garbage": (WRITE_EVERYWHERE.format(b"no json\n"), "error", "it wrote into"),
    "flood": (WRITE_EVERYWHERE.format(b"x" * 9) + "    while True: os.write(n, bytes(2**20))", "error", "too large"),
    # and attempts at "solved" without an answer
    "prints it": ("print('✓ 1.2 solved'); bilinear_scores = ...", "open", ""),
    "replaces the check": (
        "import course.exercises as e; e.examine = e.check = print; bilinear_scores = ...",
        "open",
        "",
    ),
    "imports the checks": ("from course.exercises import lesson1", "error", "ImportError"),
    "imports them anew": ("import sys; del sys.modules['course.exercises']; import course.exercises", "error", ""),
    "reads the solution": ("text = open({solution!r}).read()", "error", ""),
    "looks into the check": (
        "import sys\ndef bilinear_scores(*_):\n    frame = sys._getframe()\n"
        "    while 'expected' not in frame.f_locals: frame = frame.f_back\n    return frame.f_locals['expected']",
        "wrong",
        "your function stops with an error",
    ),
    "is equal to all": (
        "class Yes(torch.Tensor):\n    __eq__ = lambda *_: True\n"
        "    __torch_function__ = classmethod(lambda *_: True)\n"
        "def bilinear_scores(query, keys, W): return Yes(keys[..., 0])",
        "",
        "",
    ),
    "writes a result": (
        WRITE_EVERYWHERE.format(b'["1.2", "solved", ""]\n{"result": ["list", []]}\n'),
        "error",
        "it wrote into",
    ),
}


@pytest.fixture(params=[True, False], ids=["bubblewrap", "no bubblewrap"])
def sandbox(request, monkeypatch):
    """The tests pass with and without it."""
    reason = judge.why_no_sandbox()
    if request.param and reason:
        pytest.skip(reason)
    monkeypatch.setattr(judge, "why_no_sandbox", lambda: "" if request.param else "bubblewrap is not installed")
    return request.param


def solved(**changes):
    """The solutions of lesson 1, with other code in some exercises: `solved(e1_2="...")`."""
    notebook = copy.deepcopy(read(SOURCE, f"solutions/{LESSON}"))
    for cell in notebook.cells:
        cell.source = changes.get(cell.id.replace("exercise-", "e").replace("-", "_"), cell.source)
    return notebook


def results(folder, *options):
    output = folder.parent / "results" / "class.csv"
    assert collect.main([str(folder), "--output", str(output), "--seconds", "20", *options]) == 0
    with output.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    return rows, output.with_suffix(".html").read_text(encoding="utf-8")


def of(rows, student):
    return {row["exercise"]: (row["result"], row["hint"]) for row in rows if row["student"] == student}


@pytest.fixture
def classroom(tmp_path):
    folder = tmp_path / "class"
    for name in ("ann", "ben"):
        (folder / name).mkdir(parents=True)
    nbformat.write(solved(), folder / "ann" / f"{LESSON}.ipynb")
    nbformat.write(solved(e1_1="..."), folder / "ann" / f"{LESSON} (1).ipynb")  # handed in twice
    shutil.copy(NOTEBOOKS / TRANSLATIONS[0] / f"{LESSON}.ipynb", folder / "ben")
    stub = sources(SOURCE, LESSON)["exercise-1-3"]
    nbformat.write(solved(e1_3=stub, e1_1='prediction = {"weight": 7, "result": 6, "shifted": 0.67}'),
                   folder / f"cleo-{LESSON}.ipynb")  # fmt: skip
    removed = solved()
    removed.cells = [cell for cell in removed.cells if cell.id != "exercise-1-4"]
    nbformat.write(removed, folder / f"dan_{LESSON}.ipynb")
    nbformat.write(solved(e1_2="import os; os._exit(0)", e1_5="numbers = bytearray(20 * 2**30)"),
                   folder / f"eve-{LESSON}.ipynb")  # fmt: skip
    (folder / "broken.ipynb").write_text('{"cells": [')
    (folder / "odd.ipynb").write_text('{"cells": [{"cell_type": "code", "source": 3}, null]}')
    (folder / "secret.ipynb").symlink_to("/nowhere")
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")]), folder / "foreign.ipynb")
    return folder


@pytest.mark.slow
def test_every_row_of_a_class_is_right_and_a_second_run_checks_only_what_changed(
    classroom, sandbox, monkeypatch, capsys
):
    rows, page = results(classroom)
    assert of(rows, "ann") == dict.fromkeys(NUMBERS, OK)
    assert {result for result, _ in of(rows, "ben").values()} == {"open"}
    assert of(rows, "cleo") == of(rows, "ann") | {
        "1.1": ("wrong", "weight: 7 is the score; weights come out of the softmax, and all four sum to 1"),
        "1.3": ("open", ""),
    }
    assert of(rows, "dan") == of(rows, "ann") | {"1.4": ("error", "the cell of the exercise is not there")}
    assert of(rows, "eve") == of(rows, "ann") | {
        "1.2": ("error", "it ended its own Python"),
        "1.5": ("error", "MemoryError:"),
    }
    assert of(rows, "broken") == {"": ("error", "broken.ipynb: this is not a notebook")}
    assert of(rows, "odd") == {"": ("error", "odd.ipynb: this is not a notebook")}
    assert of(rows, "foreign") == {"": ("error", "foreign.ipynb: no exercise of this course is in it")}
    assert len(rows) == 5 * len(NUMBERS) + 3 and "1 × 1.1: weight: 7 is the score" in page
    assert ("sudo apt-get install bubblewrap" in capsys.readouterr().err) is not sandbox

    monkeypatch.setattr(collect, "ProcessPoolExecutor", lambda count, *_, **__: no_pool(count))
    assert results(classroom)[0] == rows
    nbformat.write(solved(e1_1="..."), classroom / f"cleo-{LESSON}.ipynb")
    with pytest.raises(AssertionError, match="1 notebooks have to be checked"):
        results(classroom)


def no_pool(count):
    from concurrent.futures import ThreadPoolExecutor

    class Refuses(ThreadPoolExecutor):
        def submit(self, *_):
            raise AssertionError(f"{count} notebooks have to be checked")

    return Refuses(1)


@pytest.mark.slow
def test_a_hostile_answer_costs_its_own_row_and_nothing_else(tmp_path, sandbox):
    (tmp_path / "a.txt").write_text("not yours")
    codes = []
    for code, _, _ in HOSTILE.values():  # between right answers
        code = code.replace("{folder!r}", repr(str(tmp_path))).replace("{solution!r}", repr(str(SOLUTION)))
        codes += [("1.2", code), ("1.3", sources(SOURCE, f"solutions/{LESSON}")["exercise-1-3"])]
    rows = judge.check_answers(LESSON, codes, options_for(tmp_path, sandbox, seconds=6))
    for (name, (_, result, reason)), row in zip(HOSTILE.items(), rows[::2], strict=True):
        assert row[0] != "solved" and result in ("", row[0]) and reason in row[1], (name, row)
    assert set(rows[1::2]) == {OK}
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "not yours")]


def options_for(students, sandbox, seconds=60):
    hidden = judge.hidden_folders(students)
    return Namespace(
        bubblewrap=sandbox, hidden=hidden, language=SOURCE, seed=1, seconds=seconds, gigabytes=4, place=None
    )


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS)
def test_an_answer_gets_the_hint_that_it_would_get_in_the_students_notebook(lesson, tmp_path):
    mine = [
        (number, code_of(number, answer)) for number, answer in (p.values for p in STUDENTS) if number[0] == lesson[0]
    ]
    rows = judge.check_answers(lesson, mine, options_for(tmp_path, not judge.why_no_sandbox()))
    for (number, code), row in zip(mine, rows, strict=True):
        mark, hint, values = examine(number, *answers(number, code), seed=1)
        assert row[0] == mark, code
        if hint and hint != "stops":  # that one quotes the line, which a file has and a string has not
            assert row[1] == hint_text(SOURCE, number, hint, values)
        elif hint:
            assert values["reason"] in row[1]


def test_the_sandbox_itself_shows_no_work_of_others_writes_nowhere_and_has_no_network(tmp_path):
    """What answer.py refuses is one wall; this is the other, for who gets around it."""
    if reason := judge.why_no_sandbox():
        pytest.skip(reason)
    class_folder, place = tmp_path / "class", tmp_path / "class" / "place"
    place.mkdir(parents=True)
    (class_folder / "ann.txt").write_text("secret")
    script = f"""
import os, socket
assert os.listdir({str(class_folder)!r}) == ["place"] and os.listdir({str(ROOT / "notebooks")!r}) == []
for folder in ({str(class_folder)!r}, {str(tmp_path)!r}, {str(ROOT)!r}, "/dev/shm", "/tmp", "/"):
    try: open(folder + "/mine", "w")
    except OSError: continue
    raise SystemExit(folder)
assert [name for _, name in socket.if_nameindex()] == ["lo"] and len(list(filter(str.isdigit, os.listdir("/proc")))) < 5
open("mine", "w").close()
"""
    command = [*judge.bubblewrap(str(place), judge.hidden_folders(class_folder)), sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert os.listdir(place) == ["mine"] and sorted(os.listdir(class_folder)) == ["ann.txt", "place"]


@pytest.mark.skipif(os.name == "nt", reason="its stand-in is a shell script")
def test_a_bubblewrap_that_is_not_there_or_may_not_make_a_namespace_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert judge.why_no_sandbox() == "bubblewrap is not installed"
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho No permissions to create new namespace >&2\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    assert judge.why_no_sandbox() == "bubblewrap does not work: No permissions to create new namespace"


def test_whose_notebook_it_is(tmp_path):
    for path, student in {
        "ann/work/1-attention.ipynb": "ann",
        "ben-1-attention.ipynb": "ben",
        "1-attention_cleo.ipynb": "cleo",
        "1-attention.ipynb": "1-attention",
        "=HYPERLINK/1-attention.ipynb": "'=HYPERLINK",
        unicodedata.normalize("NFD", "김하늘") + "/1-attention.ipynb": "김하늘",
        "dan\udcff/1-attention.ipynb": "dan?",
    }.items():
        assert collect.student_of(tmp_path / path, tmp_path) == student


def test_exercises_are_found_by_their_checks_where_an_editor_dropped_the_ids(tmp_path):
    notebook = solved()
    for cell in notebook.cells:
        cell.pop("id")
    notebook.nbformat_minor = 4
    path = tmp_path / "a.ipynb"
    nbformat.write(notebook, path)
    lesson, codes = collect.answers_in(path)
    assert lesson == LESSON and codes["1.3"] == sources(SOURCE, f"solutions/{LESSON}")["exercise-1-3"]


def test_a_folder_without_a_notebook_or_none_at_all_is_refused(tmp_path, capsys):
    for arguments, says in (([], "make collect FOLDER="), ([str(tmp_path)], "there is no notebook")):
        with pytest.raises(SystemExit):
            collect.main(arguments)
        assert says in capsys.readouterr().err


def test_a_damaged_record_of_an_earlier_run_is_no_obstacle(tmp_path):
    for text in ("{", "3", '["ab", 3]'):
        (tmp_path / "results.json").write_text(text)
        assert collect.read_checked(tmp_path / "results.json") == {}

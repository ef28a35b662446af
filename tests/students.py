"""What students answer to the exercises, rightly and wrongly: tests/wrong_answers/ as code."""

import tomllib

import pytest

from course import exercises
from course.language import SOURCE
from course.notebooks import LESSONS, ROOT, run_cells, sources

NUMBERS = list(exercises.EXERCISES)
# {"wrong" or "right": {number: {what the student does: whole answer, or changes to the solution, and the hint}}}
TABLES = [tomllib.loads((ROOT / "tests" / "wrong_answers" / f"{lesson}.toml").read_text("utf-8")) for lesson in LESSONS]
STUDENTS = [
    pytest.param(number, answer, id=f"{number} {name}")
    for table in TABLES
    for number, named in [*table["wrong"].items(), *table["right"].items()]
    for name, answer in named.items()
]


def cell(kind, number, folder="", language=SOURCE):
    """The source of the cell "exercise", "check" or "before" of an exercise in a lesson, or in its "solutions/"."""
    lesson = LESSONS[int(number[0]) - 1]
    return sources(language, folder + lesson).get(f"{kind}-{number.replace('.', '-')}", "")


def code_of(number, answer):
    """The code of one of STUDENTS."""
    source = answer.get("answer") or cell("exercise", number, "solutions/")
    for old, new in answer.get("changes", []):
        assert old in source, f"{old!r} is not in the solution of {number}"
        source = source.replace(old, new)
    return source


def answers(number, source):
    """What the check cell of an exercise hands to `check`, if the exercise cell is `source`."""
    given = []
    names = run_cells("solutions/" + LESSONS[int(number[0]) - 1], "imports")  # which also set the seed
    names["check"] = lambda *values: given.extend(values)
    exec("\n".join([cell("before", number, "solutions/"), source, cell("check", number)]), names)
    assert given[0] == number
    return given[1:]

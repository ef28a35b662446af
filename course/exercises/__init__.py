"""Exercises that check themselves: each check says in one line whether an answer is right, or what is wrong with it.

    from course.exercises import check, progress
    check("1.3", window_mask)    # ✗ 1.3 not yet: row 2 may look at position 3: that is the future
    progress(1)                  # lesson 1: 4 of 6 exercises solved: ✓ 1.1 ...

The checks are in `lesson1.py` and so on, what they share is in `answers.py`, and the hints are in `hints/`, one file
for each language. A check never raises because of an answer, and leaves the random numbers of the notebook alone.
"""

from __future__ import annotations

import inspect
import tomllib
from importlib.resources import files
from pathlib import Path

from course.exercises import lesson1, lesson2, lesson3
from course.exercises.answers import Mistake, find_gaps, keep_random_numbers, one_line

__all__ = ["check", "progress"]

EXERCISES = lesson1.CHECKS | lesson2.CHECKS | lesson3.CHECKS
SIGNS = {"solved": "✓", "open": "○", "wrong": "✗"}
HINTS = {  # {language: {number of an exercise: {name: hint}}}, and "any" for hints that fit any exercise
    file.name.removesuffix(".toml"): tomllib.loads(file.read_text(encoding="utf-8"))
    for file in files(__name__).joinpath("hints").iterdir()
    if file.name.endswith(".toml")
}
_marks: dict[str, str] = {}  # of the exercises checked since the notebook was started


def language_of(folder: Path) -> str:
    """The language of the lessons in a folder such as notebooks/ko or notebooks/ko/solutions; English elsewhere."""
    return next((part for part in folder.parts[-2:] if part in HINTS), "en")


LANGUAGE = language_of(Path.cwd())


def check(number: str, *answers) -> None:
    """Print one line: whether exercise `number` is solved, still open, or what is wrong.

    Args:
        number: of the exercise, such as "1.3".
        answers: what the exercise asks for: a function, a dictionary of predictions, a number and a letter.

    Raises:
        ValueError: there is no such exercise.
    """
    mark, hint = verdict(number, *answers)
    _marks[number] = mark
    line = HINTS[LANGUAGE]["marks"][mark].format(number=number)
    print(f"{line}: {hint}" if hint else line)


def progress(lesson: int) -> None:
    """Print which exercises of a lesson are solved; what has not been checked in this session counts as open."""
    marks = {number: _marks.get(number, "open") for number in EXERCISES if number.startswith(f"{lesson}.")}
    each = "  ".join(f"{SIGNS[mark]} {number}" for number, mark in marks.items())
    line = HINTS[LANGUAGE]["marks"]["progress"]
    print(line.format(lesson=lesson, solved=list(marks.values()).count("solved"), all=len(marks), each=each))


def verdict(number: str, *answers, seed: int = 0) -> tuple[str, str]:
    """The mark of an answer, "solved", "open" or "wrong", and the hint in the language of the notebook, or "".

    The hidden inputs depend on `seed` only, so the same answer gets the same hint again.
    """
    mark, hint, values = examine(number, answers, seed)
    texts = HINTS[LANGUAGE]
    return mark, (texts[number].get(hint) or texts["any"][hint]).format(**values) if hint else ""


def examine(number: str, answers: tuple, seed: int) -> tuple[str, str, dict]:
    """The mark of an answer, the name of the hint ("" for none) and the values to fill into it."""
    if number not in EXERCISES:
        raise ValueError(f"there is no exercise {number!r}; there are {', '.join(EXERCISES)}")
    run_check = EXERCISES[number]
    with keep_random_numbers(seed):
        try:
            find_gaps(dict(zip(inspect.signature(run_check).parameters, answers, strict=True)))
            run_check(*answers)
        except Mistake as mistake:
            return "open" if mistake.is_open else "wrong", mistake.hint, mistake.values
        except Exception as error:  # an answer of a kind that the check did not think of
            return "wrong", "cannot_compare", {"reason": one_line(error)}
    return "solved", "", {}

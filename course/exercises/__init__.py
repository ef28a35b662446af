"""Exercises that check themselves: each check says in one line whether an answer is right, or what is wrong with it.

    from course.exercises import check, progress
    check("1.3", window_mask)    # ✗ 1.3 not yet: row 2 may look at position 3: that is the future
    progress(1)                  # lesson 1: 4 of 6 exercises solved: ✓ 1.1 ...

The checks are in `lesson1.py` and so on, what they share is in `answers.py`, and the hints are in `hints/`, one file
for each language. A check never raises because of an answer, and leaves the random numbers of the notebook alone.
"""

import inspect
from importlib.resources import files

from course.exercises import lesson1, lesson2, lesson3, lesson4  # noqa: F401 (they put their checks into EXERCISES)
from course.exercises.answers import EXERCISES, Mistake, find_gaps, keep_random_numbers, one_line
from course.language import here, in_each_language

__all__ = ["check", "progress"]

# {language: {number of an exercise: {name: hint}}}, and "any" for hints that fit any exercise
HINTS = in_each_language(files("course.exercises") / "hints")
_marks: dict[str, str] = {}  # of the exercises checked since the notebook was started


LANGUAGE = here()


def check(number: str, *answers) -> None:
    """Print one line: whether exercise `number`, such as "1.3", is solved, still open, or what is wrong.

    The answers are what the exercise asks for: a function, a dictionary of predictions, a number and a letter.
    Raises ValueError if there is no such exercise.
    """
    mark, hint, values = examine(number, *answers)
    _marks[number] = mark
    line = HINTS[LANGUAGE]["marks"][mark].format(number=number)
    print(f"{line}: {hint_text(LANGUAGE, number, hint, values)}" if hint else line)


def progress(lesson: int) -> None:
    """Print which exercises of a lesson are solved; what has not been checked in this session counts as open."""
    marks = {number: _marks.get(number, "open") for number in EXERCISES if number.startswith(f"{lesson}.")}
    texts = HINTS[LANGUAGE]["marks"]
    each = "  ".join(f"{texts[mark][0]} {number}" for number, mark in marks.items())  # a text begins with ✓, ○ or ✗
    solved = list(marks.values()).count("solved")
    print(texts["progress"].format(lesson=lesson, solved=solved, all=len(marks), each=each))


def examine(number: str, *answers, seed: int = 0) -> tuple[str, str, dict]:
    """The mark of an answer, "solved", "open" or "wrong"; the name of the hint, or ""; the values to fill into it.

    The hidden inputs depend on `seed` only, so the same answer gets the same hint again.
    """
    if number not in EXERCISES:
        raise ValueError(f"there is no exercise {number!r}; there are {', '.join(EXERCISES)}")
    run_check = EXERCISES[number]
    with keep_random_numbers(seed):
        try:
            find_gaps(dict(zip(inspect.signature(run_check).parameters, answers, strict=True)))
            run_check(*answers)
        except Mistake as mistake:
            return mistake.mark, mistake.hint, mistake.values
        except Exception as error:  # an answer of a kind that the check did not think of
            return "wrong", "cannot_compare", {"reason": one_line(error)}
    return "solved", "", {}


def hint_text(language: str, number: str, hint: str, values: dict) -> str:
    """A hint in the words of a language: that of the exercise, or the one for any exercise."""
    texts = HINTS[language]
    return (texts[number].get(hint) or texts["any"][hint]).format(**values)

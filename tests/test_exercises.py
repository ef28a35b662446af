"""The exercises: every stub is open, every solution is solved, and wrong answers get the hint that fits."""

import random
import re
import string
import sys
import tomllib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from course import exercises
from course.notebooks import LANGUAGES, LESSONS, ROOT, run_cells, sources

NUMBERS = list(exercises.EXERCISES)
HINTS = exercises.HINTS
# One whole answer or the changes to the solution for each: wrong ones with their hint, and other right ones.
TABLES = [tomllib.loads((ROOT / "tests" / "wrong_answers" / f"{lesson}.toml").read_text("utf-8")) for lesson in LESSONS]
WRONG, RIGHT = (
    {number: each for table in TABLES for number, each in table[kind].items()} for kind in ("wrong", "right")
)
every_seed = pytest.mark.parametrize(
    "seeds", [range(3), pytest.param(range(3, 12), marks=pytest.mark.slow)], ids=["3 seeds", "9 more"]
)


def lesson_of(number):
    return next(lesson for lesson in LESSONS if lesson[0] == number[0])


def cells(number, folder="", language="en"):
    """{"exercise", "check", "before": source} of an exercise in a lesson, or with "solutions/" in its solution"""
    ending = "-" + number.replace(".", "-")
    found = sources(language, folder + lesson_of(number))
    return {id.removesuffix(ending): source for id, source in found.items() if id.endswith(ending)}


@cache
def names_before(number):
    """The names that the imports of the solutions and the cell before the exercise leave."""
    ids = ["imports"] + [f"before-{number.replace('.', '-')}"] * ("before" in cells(number, "solutions/"))
    return run_cells("solutions/" + lesson_of(number), *ids)


def answers(number, source):
    """What the check cell of an exercise hands to `check`, if the exercise cell is `source`."""
    given = []
    names = names_before(number) | {"check": lambda *values: given.extend(values)}
    exec(source + "\n" + cells(number)["check"], names)
    assert given[0] == number
    return tuple(given[1:])


def changed(number, answer):
    """The solution with a student's changes in it, or a student's whole answer."""
    source = answer.get("answer") or cells(number, "solutions/")["exercise"]
    for old, new in answer.get("changes", []):
        assert old in source, f"{old!r} is not in the solution of {number}"
        source = source.replace(old, new)
    return source


@pytest.fixture(autouse=True)
def same_random_numbers():
    torch.manual_seed(0)


# --- stubs and solutions --------------------------------------------------------------------------------------------


@every_seed
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("number", NUMBERS)
def test_every_stub_is_open_and_every_solution_is_solved(number, language, seeds):
    stub, solution = cells(number, language=language), cells(number, "solutions/", language)
    assert stub["check"] == solution["check"]
    assert stub["exercise"] != solution["exercise"]
    opened, solved = answers(number, stub["exercise"]), answers(number, solution["exercise"])
    for seed in seeds:
        assert exercises.examine(number, opened, seed)[0] == "open"
        assert exercises.examine(number, solved, seed) == ("solved", "", {})


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_lesson_has_exercises_of_each_kind_and_keeps_the_solutions_to_itself(lesson):
    texts = sources("en", lesson)
    numbers = [number for number in NUMBERS if lesson_of(number) == lesson]
    assert 4 <= len(numbers) <= 6
    asked = [id for id in texts if re.fullmatch(r"exercise-\d-\d", id)]
    assert asked == ["exercise-" + number.replace(".", "-") for number in numbers]  # in this order
    titles = [texts[id + "-text"].splitlines()[0] for id in asked]
    for number, title in zip(numbers, titles, strict=True):
        assert re.fullmatch(rf"### Exercise {re.escape(number)} · .+ \(.*\d+ minutes\)", title)
        stub, solution = (set(cells(number, folder)["exercise"].splitlines()) for folder in ("", "solutions/"))
        assert not any(solution - stub <= set(source.splitlines()) for source in texts.values())
    for kind in ("finish a function", "Predict", "Find the bug", "Change one thing"):
        assert any(kind in title for title in titles), kind
    assert texts["progress"] == f"progress({lesson[0]})"


def test_the_tokenizer_does_what_lesson_3_and_its_solutions_say():
    from transformers import BertTokenizer

    batch = BertTokenizer.from_pretrained(ROOT / "bert")("NLP runs")
    from_left = BertTokenizer.from_pretrained(ROOT / "bert", truncation_side="left")
    for row in ([f"`{piece}`" for piece in batch.tokens()], map(str, batch.word_ids())):
        assert f"| {' | '.join(row)} |" in sources("en", "3-bert")["exercise-3-5-text"]
    cut = from_left("one two three four five six", truncation=True, max_length=5)
    assert cut.tokens() == ["[CLS]", "four", "five", "six", "[SEP]"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("lesson", LESSONS)
def test_each_lesson_has_questions_with_folded_answers(lesson, language):
    quiz = "\n".join(source for id, source in sources(language, lesson).items() if id.startswith("quiz-"))
    numbers = re.findall(r"^\*\*(\d)\. .*\*\*$", quiz, re.MULTILINE)
    assert numbers == [str(n) for n in range(1, len(numbers) + 1)] and 4 <= len(numbers) <= 6
    folded = r"^<details><summary>(?:Answer|답)</summary><b>([a-d])\.</b> .{60,}</details>$"
    letters = re.findall(folded, quiz, re.MULTILINE)
    assert len(letters) == len(numbers) == quiz.count("<details>") and len(set(letters)) > 1


# --- wrong answers and hints ----------------------------------------------------------------------------------------


@every_seed
@pytest.mark.parametrize(("number", "mistake"), [(number, mistake) for number in WRONG for mistake in WRONG[number]])
def test_a_wrong_answer_gets_its_hint_with_any_hidden_inputs(number, mistake, seeds):
    hint = WRONG[number][mistake]["hint"]
    given = answers(number, changed(number, WRONG[number][mistake]))
    for seed in seeds:
        mark, name, values = exercises.examine(number, given, seed)
        assert (mark, name) == ("open" if hint.startswith("open") else "wrong", hint), (seed, values)
        for tables in HINTS.values():
            said = (tables[number].get(hint) or tables["any"][hint]).format(**values)
            assert "{" not in said and "\n" not in said


@every_seed
@pytest.mark.parametrize(("number", "way"), [(number, way) for number in RIGHT for way in RIGHT[number]])
def test_a_right_answer_that_is_written_differently_is_solved(number, way, seeds):
    given = answers(number, changed(number, RIGHT[number][way]))
    for seed in seeds:
        assert exercises.examine(number, given, seed) == ("solved", "", {})


def test_every_hint_is_given_to_some_wrong_answer():
    given = {number: {answer["hint"] for answer in WRONG[number].values()} for number in NUMBERS}
    given["2.4"].add("open_bug")  # the stubs
    given["3.4"].add("open_bug")
    assert set(HINTS["en"]) == {"marks", "any", *NUMBERS}
    for number in NUMBERS:
        own = set(HINTS["en"][number])
        assert own <= given[number], own - given[number]
        assert len(own) >= 3, number
    assert set(HINTS["en"]["any"]) <= set().union(*given.values()), "a hint for any exercise that nobody gets"


def test_hints_say_the_same_things_in_all_languages():
    assert sorted(HINTS) == LANGUAGES

    def fields(text):
        return sorted(field for _, field, _, _ in string.Formatter().parse(text) if field)

    for language, tables in HINTS.items():
        assert {name: list(table) for name, table in tables.items()} == {n: list(t) for n, t in HINTS["en"].items()}
        for number, hints in tables.items():
            for name, text in hints.items():
                assert fields(text) == fields(HINTS["en"][number][name]), (number, name)
                assert bool(re.search("[가-힣]", text)) == (language == "ko"), (number, name)
                assert len(text) < 170, (number, name)


def test_the_language_is_that_of_the_notebooks_folder():
    for language in LANGUAGES:
        assert exercises.language_of(ROOT / "notebooks" / language) == language
        assert exercises.language_of(ROOT / "notebooks" / language / "solutions") == language
    assert exercises.language_of(Path("/ko/course/notebooks")) == exercises.language_of(Path("/")) == "en"


# --- check itself ---------------------------------------------------------------------------------------------------


def test_check_prints_one_line_and_progress_remembers_it(capsys, monkeypatch):
    monkeypatch.setattr(exercises, "_marks", {})
    monkeypatch.setattr(exercises, "LANGUAGE", "en")
    exercises.check("1.3", lambda tokens, window: ...)
    exercises.check("1.3", lambda tokens, window: torch.ones(tokens, tokens, dtype=torch.bool).tril(1))
    exercises.check("1.1", {"weight": 0.25, "result": 6, "shifted": 0.665})
    exercises.progress(1)
    monkeypatch.setattr(exercises, "LANGUAGE", "ko")
    exercises.check("1.1", {"weight": ..., "result": 6, "shifted": 0.67})
    exercises.progress(1)
    assert capsys.readouterr().out.splitlines() == [
        "○ 1.3 still open",
        "✗ 1.3 not yet: row 0 may look at position 1: that is the future",
        "✓ 1.1 solved",
        "lesson 1: 1 of 6 exercises solved: ✓ 1.1  ○ 1.2  ✗ 1.3  ○ 1.4  ○ 1.5  ○ 1.6",
        "○ 1.1 아직 풀지 않았습니다: 채울 것: weight",
        "1강: 연습 문제 6개 가운데 0개를 풀었습니다: ○ 1.1  ○ 1.2  ✗ 1.3  ○ 1.4  ○ 1.5  ○ 1.6",
    ]


def test_an_error_names_the_students_line():
    mark, said = exercises.verdict("1.3", lambda tokens, window: torch.ones(tokens) @ torch.ones(tokens + 1))
    assert mark == "wrong" and "torch.ones(tokens) @" in said and "RuntimeError" in said
    mark, said = exercises.verdict("1.3", lambda tokens: tokens)
    assert mark == "wrong" and "TypeError" in said


@pytest.mark.parametrize(
    ("set_seed", "next_number"),
    [(torch.manual_seed, torch.rand), (np.random.seed, np.random.rand), (random.seed, lambda n: random.random())],
    ids=["torch", "numpy", "Python"],
)
def test_a_check_leaves_the_random_numbers_of_the_notebook_alone(set_seed, next_number):
    def mask(tokens, window):
        set_seed(tokens)
        return torch.full((tokens, tokens), bool(next_number(1) > 0.5))

    for answer in (mask, lambda tokens, window: next_number(1), lambda tokens, window: sys.exit(next_number(1))):
        set_seed(3)
        expected = next_number(1)
        set_seed(3)
        assert exercises.verdict("1.3", answer)[0] == "wrong"
        assert next_number(1) == expected


def test_an_exercise_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="there is no exercise '1.9'; there are 1.1, 1.2"):
        exercises.check("1.9", None)


VALUES = [None, 3, "x", [], {}, torch, float("nan"), 10**400, 1j, torch.ones(2, 2), torch.ones(1, device="meta")]
VALUES += [np.ones(3), [[1, ...]], torch.eye(3).to_sparse(), torch.ones(3, requires_grad=True), (None, None)]
FOREIGN = VALUES + [lambda *_, value=value: value for value in VALUES] + [lambda *_: iter([1]), lambda *_: sys.exit()]


@pytest.mark.parametrize("number", NUMBERS)
def test_no_answer_of_a_foreign_kind_raises_or_is_solved(number):
    right = answers(number, cells(number, "solutions/")["exercise"])
    for value in FOREIGN:
        given = [[value] * len(right)]
        if isinstance(right[0], dict):
            given.append([dict.fromkeys(right[0], value)])
        for answer in given:
            mark, said = exercises.verdict(number, *answer)
            assert mark != "solved" and "\n" not in said
            assert said or mark == "open"


def test_a_seed_set_by_the_student_does_not_repeat_the_hidden_inputs():
    seen = set()

    def mask(tokens, window):
        torch.manual_seed(0)
        seen.add((tokens, window))
        steps = torch.arange(tokens).unsqueeze(1) - torch.arange(tokens)
        return (steps >= 0) & (steps < window)

    assert exercises.verdict("1.3", mask)[0] == "solved"
    assert len(seen) > 8

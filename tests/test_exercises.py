"""The exercises: every stub is open, every solution is solved, and wrong answers get the hint that fits."""

import random
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertTokenizer

from course import exercises
from course.exercises import HINTS, examine, hint_text
from course.language import LANGUAGES, SOURCE, WORDS, language_of
from course.notebooks import LESSONS, ROOT, sources
from students import NUMBERS, STUDENTS, TABLES, answers, cell, code_of

every_seed = pytest.mark.parametrize(
    "seeds", [range(3), pytest.param(range(3, 12), marks=pytest.mark.slow)], ids=["3 seeds", "9 more"]
)
RANDOM = [(torch.manual_seed, torch.rand), (np.random.seed, np.random.rand), (random.seed, random.randbytes)]
VALUES = [None, 3, "x", [], {}, torch, float("nan"), 10**400, 1j, torch.ones(2, 2), torch.ones(1, device="meta")]
VALUES += [np.ones(3), [[1, ...]], torch.eye(3).to_sparse(), torch.ones(3, requires_grad=True), (None, None)]
FOREIGN = VALUES + [lambda *_, value=value: value for value in VALUES] + [lambda *_: iter([1]), lambda *_: sys.exit()]


@every_seed
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("number", NUMBERS)
def test_every_stub_is_open_and_every_solution_is_solved(number, language, seeds):
    assert cell("check", number, "", language) == cell("check", number, "solutions/", language) != ""
    opened, solved = (answers(number, cell("exercise", number, folder, language)) for folder in ("", "solutions/"))
    for seed in seeds:
        assert examine(number, *opened, seed=seed)[0] == "open"
        assert examine(number, *solved, seed=seed) == ("solved", "", {})


@every_seed
@pytest.mark.parametrize(("number", "answer"), STUDENTS)
def test_a_wrong_answer_gets_its_hint_and_a_right_one_is_solved_with_any_hidden_inputs(number, answer, seeds):
    given, hint = answers(number, code_of(number, answer)), answer.get("hint", "")
    mark = "open" if hint.startswith("open") else "wrong" if hint else "solved"
    for seed in seeds:
        *came, values = examine(number, *given, seed=seed)
        assert came == [mark, hint], (seed, values)
        for said in [hint_text(language, number, hint, values) for language in LANGUAGES if hint]:
            assert "{" not in said and "\n" not in said


def test_every_hint_is_given_to_some_wrong_answer():
    wrong = {number: named.values() for table in TABLES for number, named in table["wrong"].items()}
    given = {number: {"open_bug"} | {answer["hint"] for answer in wrong[number]} for number in NUMBERS}  # and stubs
    assert set(HINTS[SOURCE]) == {"marks", "any", *NUMBERS}
    for number in NUMBERS:
        assert HINTS[SOURCE][number].keys() <= given[number] and len(HINTS[SOURCE][number]) >= 3, number
    assert HINTS[SOURCE]["any"].keys() <= set().union(*given.values()), "a hint for any exercise that nobody gets"


def test_hints_say_the_same_things_in_the_language_of_the_notebooks_folder():
    assert list(HINTS) == LANGUAGES
    for language, tables in HINTS.items():
        assert {name: list(table) for name, table in tables.items()} == {n: list(t) for n, t in HINTS[SOURCE].items()}
        for number, hints in tables.items():
            for name, text in hints.items():
                fields, english = (sorted(re.findall(r"{\w+", said)) for said in (text, HINTS[SOURCE][number][name]))
                assert fields == english, (number, name)
                assert len(text) < 170, (number, name)
        for folder in ("", "solutions"):
            assert language_of(ROOT / "notebooks" / language / folder) == language
    assert language_of(Path(f"/{LANGUAGES[-1]}/course/notebooks")) == language_of(Path("/")) == SOURCE


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_lesson_has_exercises_of_each_kind_and_keeps_the_solutions_to_itself(lesson):
    texts = sources(SOURCE, lesson)
    numbers = [number for number in NUMBERS if number[0] == lesson[0]]
    asked = [id for id in texts if re.fullmatch(r"exercise-\d-\d", id)]
    assert asked == ["exercise-" + number.replace(".", "-") for number in numbers]  # in this order
    titles = [texts[id + "-text"].splitlines()[0] for id in asked]
    for number, title in zip(numbers, titles, strict=True):
        assert re.fullmatch(rf"### Exercise {re.escape(number)} · .+ \(.*\d+ minutes\)", title)
        stub, solution = (set(cell("exercise", number, folder).splitlines()) for folder in ("", "solutions/"))
        assert not any(solution - stub <= set(source.splitlines()) for source in texts.values())
    for kind in ("finish a function", "Predict", "Find the bug", "Change one thing"):
        assert any(kind in title for title in titles), kind
    assert 4 <= len(numbers) <= 6 and texts["progress"] == f"progress({lesson[0]})"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("lesson", LESSONS)
def test_each_lesson_has_questions_with_folded_answers(lesson, language):
    quiz = "\n".join(source for id, source in sources(language, lesson).items() if id.startswith("quiz-"))
    numbers = re.findall(r"^\*\*(\d)\. .*\*\*$", quiz, re.MULTILINE)
    assert numbers == [str(n) for n in range(1, len(numbers) + 1)] and 4 <= len(numbers) <= 6
    summary = "|".join({WORDS[spoken]["pages"]["answer"] for spoken in (SOURCE, language)})
    folded = rf"^<details><summary>(?:{summary})</summary><b>([a-d])\.</b> .{{60,}}</details>$"
    letters = re.findall(folded, quiz, re.MULTILINE)
    assert len(letters) == len(numbers) == quiz.count("<details>") and len(set(letters)) > 1


def test_the_tokenizer_does_what_lesson_3_and_its_solutions_say():
    tokenizer = BertTokenizer.from_pretrained(ROOT / "bert", truncation_side="left")
    batch = tokenizer("NLP runs")
    for row in ([f"`{piece}`" for piece in batch.tokens()], map(str, batch.word_ids())):
        assert f"| {' | '.join(row)} |" in sources(SOURCE, "3-bert")["exercise-3-5-text"]
    cut = tokenizer("one two three four five six", truncation=True, max_length=5)
    assert cut.tokens() == ["[CLS]", "four", "five", "six", "[SEP]"]


def test_check_prints_one_line_and_progress_remembers_it(capsys, monkeypatch):
    monkeypatch.setattr(exercises, "_marks", {})
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
    with pytest.raises(ValueError, match="there is no exercise '1.9'; there are 1.1, 1.2"):
        exercises.check("1.9", None)


def test_an_error_names_the_students_line():
    mark, hint, values = examine("1.3", lambda tokens, window: torch.ones(tokens) @ torch.ones(tokens + 1))
    assert (mark, hint) == ("wrong", "stops")
    assert "torch.ones(tokens) @" in values["line"] and values["reason"].startswith("RuntimeError: ")
    assert "TypeError" in examine("1.3", lambda tokens: tokens)[2]["reason"]


@pytest.mark.parametrize(("set_seed", "next_number"), RANDOM, ids=["torch", "numpy", "Python"])
def test_a_check_leaves_the_random_numbers_of_the_notebook_alone(set_seed, next_number):
    seen = set()

    def mask(tokens, window):
        seen.add((tokens, window))
        set_seed(0)  # which must not repeat the hidden inputs
        next_number(1)
        steps = torch.arange(tokens).unsqueeze(1) - torch.arange(tokens)
        return (steps >= 0) & (steps < window)

    for answer in (mask, lambda tokens, window: next_number(1), lambda tokens, window: sys.exit(next_number(1))):
        set_seed(3)
        expected = next_number(1)
        set_seed(3)
        assert examine("1.3", answer)[0] == ("solved" if answer is mask else "wrong")
        assert next_number(1) == expected
    assert len(seen) > 8


@pytest.mark.parametrize("number", NUMBERS)
def test_no_answer_of_a_foreign_kind_raises_or_is_solved(number):
    right = answers(number, cell("exercise", number, "solutions/"))
    for value in FOREIGN:
        filled_in = [dict.fromkeys(right[0], value)] if isinstance(right[0], dict) else [value] * len(right)
        for given in ([value] * len(right), filled_in):
            mark, hint, values = examine(number, *given)
            assert mark == "open" or mark == "wrong" and "\n" not in hint_text(SOURCE, number, hint, values)

"""The exercises: every stub is open, every solution is solved, and wrong answers get the hint that fits."""

import re
import string
import subprocess
import sys
import textwrap
import tomllib

import numpy
import pytest
import torch
import transformers

from course import exercises
from course.notebooks import LANGUAGES, LESSONS, ROOT, code_cells, read
from wrong_answers import RIGHT, WRONG

NUMBERS = list(exercises.EXERCISES)
SEEDS = range(12)
HINTS = tomllib.loads((ROOT / "course" / "exercises" / "hints.toml").read_text(encoding="utf-8"))


def lesson_of(number):
    return next(lesson for lesson in LESSONS if lesson[0] == number[0])


def cells(number, folder="", language="en"):
    """{"exercise", "check", "before": source} of an exercise in a lesson, or with "solutions/" in its solution"""
    ending = "-" + number.replace(".", "-")
    found = {cell.id: cell.source for cell in read(language, folder + lesson_of(number)).cells}
    return {id.removesuffix(ending): source for id, source in found.items() if id.endswith(ending)}


def answers(number, source):
    """What the check cell of an exercise hands to `check`, if the exercise cell is `source`."""
    solution = code_cells(read("en", "solutions/" + lesson_of(number)))
    imports = next(cell.source for cell in solution if cell.id == "imports")
    given = []
    names = {}
    for part in (imports, cells(number, "solutions/").get("before", ""), source):
        exec(part, names)
    names["check"] = lambda asked, *values: given.extend((asked, *values))
    exec(cells(number)["check"], names)
    assert given[0] == number
    return tuple(given[1:])


def examine(number, source, seed=0):
    """mark, name of the hint, its values"""
    with torch.random.fork_rng(devices=[]):
        return exercises._examine(number, answers(number, source), seed)


# --- stubs and solutions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("number", NUMBERS)
def test_every_stub_is_open_and_every_solution_is_solved(number, language):
    stub, solution = cells(number, language=language), cells(number, "solutions/", language)
    assert stub["check"] == solution["check"]
    assert stub["exercise"] != solution["exercise"]
    for seed in SEEDS:
        assert examine(number, stub["exercise"], seed)[0] == "open"
        assert examine(number, solution["exercise"], seed) == ("solved", "", {})


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_lesson_has_exercises_of_each_kind_and_keeps_the_solutions_to_itself(lesson):
    notebook = read("en", lesson)
    sources = {cell.id: cell.source for cell in notebook.cells}
    numbers = [number for number in NUMBERS if lesson_of(number) == lesson]
    assert 4 <= len(numbers) <= 6
    asked = [cell.id for cell in code_cells(notebook) if cell.id.startswith("exercise-")]
    assert asked == ["exercise-" + number.replace(".", "-") for number in numbers]  # in this order
    titles = [sources[id + "-text"].splitlines()[0] for id in asked]
    for number, title in zip(numbers, titles, strict=True):
        assert re.fullmatch(rf"### Exercise {re.escape(number)} · .+ \(.*\d+ minutes\)", title)
        stub, solution = (set(cells(number, folder)["exercise"].splitlines()) for folder in ("", "solutions/"))
        assert not any(solution - stub <= set(source.splitlines()) for source in sources.values())
    for kind in ("finish a function", "Predict", "Find the bug", "Change one thing"):
        assert any(kind in title for title in titles), kind
    assert sources["progress"] == f"progress({lesson[0]})"


def test_the_tokenizer_does_what_lesson_3_and_its_solutions_say():
    load = transformers.BertTokenizer.from_pretrained
    tokenizer, from_left = load(ROOT / "bert"), load(ROOT / "bert", truncation_side="left")
    batch = tokenizer("NLP runs")
    rows = [["`" + piece + "`" for piece in batch.tokens()], map(str, batch.word_ids())]
    text = next(cell.source for cell in read("en", "3-bert").cells if cell.id == "exercise-3-5-text")
    for row in rows:
        assert f"| {' | '.join(row)} |" in text
    cut = from_left("one two three four five six", truncation=True, max_length=5)
    assert cut.tokens() == ["[CLS]", "four", "five", "six", "[SEP]"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("lesson", LESSONS)
def test_each_lesson_has_questions_with_folded_answers(lesson, language):
    quiz = "\n".join(cell.source for cell in read(language, lesson).cells if cell.id.startswith("quiz-"))
    numbers = re.findall(r"^\*\*(\d)\. .*\*\*$", quiz, re.MULTILINE)
    assert numbers == [str(n) for n in range(1, len(numbers) + 1)] and 4 <= len(numbers) <= 6
    answers = re.findall(
        r"^<details><summary>(?:Answer|답)</summary><b>([a-d])\.</b> .{60,}</details>$", quiz, re.MULTILINE
    )
    assert len(answers) == len(numbers) == quiz.count("<details>") and len(set(answers)) > 1


# --- wrong answers --------------------------------------------------------------------------------------------------


def changed(number, replacements):
    """The solution with a student's mistake in it."""
    if len(replacements) == 1:
        return textwrap.dedent(replacements[0])
    source = cells(number, "solutions/")["exercise"]
    for old, new in zip(replacements[::2], replacements[1::2], strict=True):
        assert source.count(old) >= 1, f"{old!r} is not in the solution of {number}"
        source = source.replace(old, new)
    return source


@pytest.mark.parametrize(
    ("number", "mistake"), [(number, mistake) for number, mistakes in WRONG.items() for mistake in mistakes]
)
def test_a_wrong_answer_gets_its_hint_with_any_hidden_inputs(number, mistake, monkeypatch):
    hint, *replacements = WRONG[number][mistake]
    source = changed(number, replacements)
    for seed in SEEDS:
        mark, name, values = examine(number, source, seed)
        assert mark == ("open" if hint.startswith("open") else "wrong")
        assert name == hint, (seed, values)
    for language in LANGUAGES:
        monkeypatch.setattr(exercises, "LANGUAGE", language)
        mark, said = exercises.verdict(number, *answers(number, source))
        assert said and "{" not in said and "\n" not in said
        assert bool(re.search("[가-힣]", said)) == (language == "ko"), said


@pytest.mark.parametrize(("number", "way"), [(number, way) for number, ways in RIGHT.items() for way in ways])
def test_a_right_answer_that_is_written_differently_is_solved(number, way):
    for seed in SEEDS:
        assert examine(number, changed(number, RIGHT[number][way]), seed) == ("solved", "", {})


@pytest.mark.parametrize("number", NUMBERS)
def test_there_are_at_least_three_wrong_answers_with_hints_of_their_own(number):
    own = {hint for hint, *_ in WRONG[number].values() if hint in HINTS[number]}
    assert len(own) >= 3


def test_every_hint_is_given_to_some_wrong_answer_and_none_is_missing():
    given = {number: {hint for hint, *_ in mistakes.values()} for number, mistakes in WRONG.items()}
    given["2.4"].add("open_bug")  # the stubs
    given["3.4"].add("open_bug")
    assert set(HINTS) == {"marks", "any", *NUMBERS}
    for number in NUMBERS:
        assert set(HINTS[number]) <= given[number], set(HINTS[number]) - given[number]
    assert set(HINTS["any"]) <= set().union(*given.values()), "a hint for any exercise that nobody gets"


def test_hints_say_the_same_things_in_both_languages():
    for number, hints in HINTS.items():
        for name, texts in hints.items():
            assert set(texts) - {"sign"} == {"en", "ko"}, (number, name)
            fields = [
                [field for _, field, _, _ in string.Formatter().parse(texts[language]) if field]
                for language in LANGUAGES
            ]
            assert sorted(fields[0]) == sorted(fields[1]), (number, name)
            assert re.search("[가-힣]", texts["ko"]) and not re.search("[가-힣]", texts["en"]), (number, name)
            assert max(map(len, (texts["en"], texts["ko"]))) < 170, (number, name)


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


def test_a_check_leaves_the_random_numbers_of_the_notebook_alone():
    torch.manual_seed(3)
    expected = torch.randn(2)
    torch.manual_seed(3)
    exercises.verdict("1.3", lambda tokens, window: torch.randn(tokens, tokens) > 0)
    assert torch.equal(torch.randn(2), expected)


def test_an_exercise_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="there is no exercise '1.9'; there are 1.1, 1.2"):
        exercises.check("1.9", None)


VALUES = [None, 3, "x", [], {}, torch, float("nan"), 10**400, 1j, torch.ones(2, 2), torch.ones(1, device="meta")]
VALUES += [numpy.ones(3), [[1, ...]], torch.eye(3).to_sparse(), torch.ones(3, requires_grad=True), (None, None)]
FOREIGN = VALUES + [lambda *_, value=value: value for value in VALUES] + [lambda *_: iter([1]), lambda *_: sys.exit()]
NAMES = {"1.1": ["weight", "result", "shifted"], "2.1": ["head_size", "weights_shape", "times_parameters"]}
NAMES["3.1"] = ["shape", "padding", "mask_sum"]


@pytest.mark.parametrize("number", NUMBERS)
def test_no_answer_of_a_foreign_kind_raises_or_is_solved(number):
    count = exercises.EXERCISES[number].__code__.co_argcount
    for value in FOREIGN:
        answers = [[value] * count]
        if number in NAMES:
            answers.append([dict.fromkeys(NAMES[number], value)])
        for answer in answers:
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


def test_every_check_says_what_it_checks():
    assert all(function.__doc__ for function in exercises.EXERCISES.values())


def test_the_language_is_that_of_the_notebooks_folder():
    for language in LANGUAGES:
        for folder in (ROOT / "notebooks" / language, ROOT / "notebooks" / language / "solutions"):
            code = "from course import exercises; print(exercises.LANGUAGE)"
            result = subprocess.run(
                [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
            )
            assert result.stdout.strip() == language

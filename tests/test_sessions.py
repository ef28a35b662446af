"""The plan of docs/teaching: sessions that exist in every language, fit into 90 minutes and cover the course."""

import subprocess
import sys

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import pages
import sessions
from course.language import LANGUAGES, SOURCE, TRANSLATIONS, document
from course.notebooks import LESSONS, ROOT

NUMBERED = [name for name in sessions.sessions() if name.isdigit()]
EACH = pytest.mark.parametrize("session", sessions.sessions())


def shown(session, language):
    """The first cells of the slides of a session, part by part."""
    return [[slide[0].id for slide in sessions.slides_of_part(p, language)] for p in sessions.parts_of(session)]


@EACH
def test_a_session_takes_90_minutes_with_a_minute_for_each_slide_and_time_for_the_class(session):
    parts = sessions.parts_of(session)
    assert sum(map(sessions.minutes, parts)) == 90
    for part in parts:
        if "/exercise-" not in part["show"]:
            assert part["minutes"] >= 0.8 * len(sessions.slides_of_part(part, SOURCE)), part["show"]
    talk = sum(part["minutes"] for part in parts if "/exercise-" not in part["show"])
    slides = [ids for ids in shown(session, SOURCE) if not ids[0].startswith("exercise-")]
    assert sum(map(len, slides)) <= talk
    assert sum(part.get("questions", 0) for part in parts) >= 8
    leave_out = sorted(part["leave_out"] for part in parts if "leave_out" in part)
    assert leave_out == list(range(1, len(leave_out) + 1)) and len(leave_out) >= 3


@EACH
def test_its_slides_are_the_same_in_every_language_and_none_comes_twice(session):
    for language in TRANSLATIONS:
        assert shown(session, language) == shown(session, SOURCE)
    cells = [cell.id for cell in sessions.deck(session, SOURCE).cells]
    assert len(cells) == len(set(cells))


def test_the_sessions_cover_the_lessons():
    """Each lesson from its title to its questions, with its exercises for the class."""
    parts = [part["show"] for name in NUMBERED for part in sessions.parts_of(name)]
    for lesson in LESSONS:
        ids = [slide[0].id for slide in sessions.slides_of(lesson, SOURCE)]
        for id in ("title", "quiz-1", *(id for id in ids if id.startswith("exercise-"))):
            assert f"{lesson}/{id}" in parts


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_guide_has_every_session_with_its_slides_counted(language):
    text = (ROOT / document("docs/teaching", language)).read_text(encoding="utf-8")
    assert [name for name in sessions.sessions() if f"<!-- session {name} -->" not in text] == []
    assert sessions.with_tables(text, language) == text, "run: python scripts/sessions.py"


def cell_of(kind, id):
    return new_markdown_cell(f"## 1. {id}", id=id, metadata={"slideshow": {"slide_type": kind}})


@pytest.fixture
def tiny(monkeypatch):
    """Two lessons of a few cells, and a plan that shows parts of them."""
    code = new_code_cell("1 + 1", id="code", metadata={"slideshow": {"slide_type": "-"}})
    kinds = {"title": "slide", "left": "slide", "again": "subslide", "exercise-1": "subslide", "hidden": "skip"}
    lesson = new_notebook(cells=[*(cell_of(kind, id) for id, kind in kinds.items()), code, cell_of("slide", "end")])
    monkeypatch.setattr(sessions, "read", lambda language, name: lesson)
    plan = {
        "1": {"parts": [{"show": "1-a/left", "minutes": 3}, {"show": "2-b/exercise-1", "minutes": 5, "questions": 1}]}
    }
    monkeypatch.setattr(sessions, "sessions", lambda: {name: one["parts"] for name, one in plan.items()})
    return plan["1"]["parts"]


def test_a_deck_holds_the_parts_of_the_plan_and_nothing_else(tiny):
    cells = sessions.deck("1", SOURCE).cells
    assert [cell.id for cell in cells] == ["1-left", "1-again", "2-exercise-1", "2-code"]
    assert cells[0].metadata.hint == "**3 minutes, of these 0 for questions.**"
    tiny[0]["only"] = ["again"]
    (first, *_) = sessions.deck("1", SOURCE).cells
    assert (first.id, first.metadata.slideshow.slide_type) == ("1-again", "slide")
    html = pages.export("slides", sessions.deck("1", SOURCE), SOURCE)
    assert 'data-slide="1-again"' in html and "1. hidden" not in html and "1. end" not in html
    assert "6 minutes, of these 1 for questions" in html


def test_the_table_counts_slides_and_minutes(tiny):
    *_, first, second, total = sessions.table("1", SOURCE).splitlines()
    assert first == "| 3 |  | 2 | 1 · 1. left |  |"
    assert second == "| 6 | 1 | 1 | 2 · 1. exercise-1 |  |"
    assert total == "| **9** | **1** | **3** | **in all, 6 of them exercises** | |"


def test_what_is_not_there_is_said_in_a_sentence(tiny):
    tiny[0]["without"] = ["gone"]
    with pytest.raises(sessions.NoSuchSlide, match="sessions.toml: 1-a/left has no slide gone$"):
        sessions.deck("1", SOURCE)
    tiny[0]["show"] = "1-a/hidden"
    with pytest.raises(sessions.NoSuchSlide, match="no slide begins with 1-a/hidden$"):
        sessions.deck("1", SOURCE)
    done = subprocess.run([sys.executable, ROOT / "scripts" / "pages.py", "7"], capture_output=True, text=True)
    names = ", ".join(["1", "2", "3", "4", "class"])
    assert done.stderr == f"scripts/pages.py: there is no session '7'; docs/sessions.toml has {names}\n"
    assert done.returncode == 1


def test_the_slides_of_a_session_are_written(tmp_path, monkeypatch, tiny):
    monkeypatch.setattr(pages, "BUILD", tmp_path)
    monkeypatch.setattr(pages, "write_start_page", lambda: None)
    pages.main("1")
    decks = sorted(path.name for path in (tmp_path / "slides").iterdir())
    assert decks == sorted(f"session-1.{language}.html" for language in LANGUAGES)

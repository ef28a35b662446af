"""The template of the assignment: the same in every language, runs as it is, and has no notes for students to see."""

import ast
import json

import pytest

import handout
from course.language import LANGUAGES, SOURCE, TRANSLATIONS, document
from course.notebooks import ASSIGNMENT as TEMPLATE
from course.notebooks import LESSONS, ROOT, code_cells, python, read


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_every_language_has_the_same_template(language):
    english, own = read(SOURCE, TEMPLATE).cells, read(language, TEMPLATE).cells
    assert [(cell.id, cell.cell_type) for cell in english] == [(cell.id, cell.cell_type) for cell in own]
    for one, other in zip(english, own, strict=True):
        assert one.source.count("✎") == other.source.count("✎"), one.id
        assert one.metadata.get("tags") == other.metadata.get("tags"), one.id
        if one.cell_type == "code":
            assert ast.dump(python(one.source)) == ast.dump(python(other.source)), one.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_no_lesson_and_its_cells_are_small(language):
    assert not [lesson for lesson in LESSONS if "assignment" in lesson]
    cells = code_cells(read(language, TEMPLATE))
    assert [cell.id for cell in cells if len(cell.source.splitlines()) > 10] == []
    assert "../../../docs/assignment." in read(language, TEMPLATE).cells[0].source


@pytest.mark.slow
def test_it_makes_its_finding_on_the_offline_sample(monkeypatch, capsys):
    monkeypatch.setenv("TORCHNLP_DATA", "sample")
    monkeypatch.setenv("COURSE_CLAIMS", "strict")
    names = {}
    for cell in code_cells(read(SOURCE, TEMPLATE)):
        exec(compile(python(cell.source), cell.id, "exec"), names)
    said = capsys.readouterr().out
    assert abs(names["z"]) < 1.96  # pairs of words do not help: the instructor's note says so
    assert said.count("95% interval") == 2 and "✓ holds here: without true labels nothing is learnt" in said
    assert len(names["differences"]) == 5 and len(names["one_right"]) == names["only_before"] + names["only_changed"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_students_get_it_without_the_notes_for_instructors(language):
    names = [document("docs/assignment", language), f"notebooks/{language}/{TEMPLATE}.ipynb"]
    given = [handout.as_students_get_it(name).decode() for name in names if name in handout.for_students()]
    assert len(given) == 2
    whole = (ROOT / names[0]).read_text(encoding="utf-8")
    notes = whole[whole.index("<!-- left out") :]
    assert notes.count("\n- ") == 5 and not [line for line in notes.splitlines()[3:8] if line and line in given[0]]
    assert given[0].count("|") == whole.count("|")  # the rubric is there
    assert len(json.loads(given[1])["cells"]) == len(read(language, TEMPLATE).cells)

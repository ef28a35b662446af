"""What every notebook must be: the same in every language, small cells, clean stored outputs."""

import ast
import os
import re
import statistics

import nbformat
import pytest

import torchnlp
from course.language import LANGUAGES, SOURCE, TRANSLATIONS
from course.notebooks import ASSIGNMENT, LESSONS, NOTEBOOKS, SOLUTIONS, code_cells, python, read

ALL = LESSONS + SOLUTIONS
each_notebook = pytest.mark.parametrize(
    ("language", "lesson"), [(language, lesson) for language in LANGUAGES for lesson in [*ALL, ASSIGNMENT]]
)
each_translation = pytest.mark.parametrize(
    ("language", "lesson"), [(language, lesson) for language in TRANSLATIONS for lesson in ALL]
)


def test_there_are_lessons_and_each_has_its_twins_and_its_solutions():
    assert LESSONS
    assert sorted(path.name for path in NOTEBOOKS.glob("[!.]*") if path.is_dir()) == sorted(LANGUAGES)
    for language in LANGUAGES:
        for folder in (NOTEBOOKS / language, NOTEBOOKS / language / "solutions"):
            assert sorted(path.stem for path in folder.glob("*.ipynb")) == LESSONS


@each_translation
def test_every_language_has_the_same_cells(language, lesson):
    english, translated = (
        [(cell.id, cell.cell_type, dict(cell.metadata)) for cell in read(one, lesson).cells]
        for one in (SOURCE, language)
    )
    for (_, _, ours), (_, _, theirs) in zip(english, translated, strict=True):
        theirs.pop("translated_from", None)
        hints = ours.pop("hint", None), theirs.pop("hint", None)  # for the instructor, on the slides only
        assert hints == (None, None) or all(hints), hints
    assert english == translated


@each_translation
def test_every_language_runs_the_same_code(language, lesson):
    for english, translated in zip(code_cells(read(SOURCE, lesson)), code_cells(read(language, lesson)), strict=True):
        assert ast.dump(python(english.source)) == ast.dump(python(translated.source)), english.id


@each_translation
def test_the_prose_has_the_same_headings_and_links(language, lesson):
    for english, translated in zip(read(SOURCE, lesson).cells, read(language, lesson).cells, strict=True):
        if english.cell_type == "markdown":
            assert english.source.count("\n#") == translated.source.count("\n#"), f"{translated.id}: other headings"
            links = [set(re.findall(r"\]\((.*?)\)", cell.source)) for cell in (english, translated)]
            links[1] = {link.replace(f"build/{language}/", f"build/{SOURCE}/") for link in links[1]}  # are made
            assert links[0] == links[1], f"{translated.id}: other links"


@each_notebook
def test_bold_text_closes(language, lesson):
    # CommonMark does not close ** between punctuation and a letter, as in **마스크(mask)**를
    for cell in read(language, lesson).cells:
        if cell.cell_type == "markdown":
            broken = re.findall(r"\*\*[^*\n]+[)\]?!.,\"'`%]\*\*[^\W_]", cell.source)
            assert not broken, f"{cell.id}: {broken}"


@each_notebook
def test_ids_are_readable_and_cells_are_slides(language, lesson):
    for cell in read(language, lesson).cells:
        assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", cell.id), cell.id
        assert not re.fullmatch(r"[0-9a-f]{8,}", cell.id), cell.id
        kinds = {"slide", "subslide", "fragment", "skip", "notes", "-"}
        assert cell.metadata["slideshow"]["slide_type"] in kinds, cell.id


@each_notebook
def test_cells_can_be_projected(language, lesson):
    code = code_cells(read(language, lesson))
    lengths = {cell.id: len(cell.source.splitlines()) for cell in code}
    assert statistics.median(lengths.values()) <= 6
    assert [cell.id for cell in code if lengths[cell.id] > 20 and not cell.source.startswith("class ")] == []
    assert [cell.id for cell in code for line in cell.source.splitlines() if len(line) > 98] == []


@each_notebook
def test_images_have_alt_text_and_exist(language, lesson):
    for cell in read(language, lesson).cells:
        for alt, target in re.findall(r"!\[(.*?)\]\((.*?)\)", cell.source if cell.cell_type == "markdown" else ""):
            assert len(alt) > 10, f"{cell.id}: {target} needs alt text"
            assert (NOTEBOOKS / language / target).is_file(), f"{cell.id}: {target} is missing"


@each_notebook
def test_stored_pictures_have_a_description(language, lesson):
    for cell in code_cells(read(language, lesson)):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                assert len(output.metadata.get("image/png", {}).get("alt", "")) > 20, cell.id


@each_notebook
def test_plumbing_is_folded_and_nothing_else(language, lesson):
    for cell in read(language, lesson).cells:
        folded = cell.metadata.get("jupyter", {}).get("source_hidden", False)
        assert folded == ("plumbing" in cell.metadata.get("tags", [])), cell.id
        assert not folded or cell.cell_type == "code", cell.id


def output_texts(cell):
    for output in cell.outputs:
        yield output.get("text", "")
        yield from (text for text in output.get("data", {}).values() if isinstance(text, str))


@each_notebook
def test_outputs_are_stored_in_order_from_one_run(language, lesson):
    counts = [cell.execution_count for cell in code_cells(read(language, lesson))]
    assert counts == list(range(1, len(counts) + 1))


@each_notebook
def test_outputs_are_clean(language, lesson, noise):
    notebook = read(language, lesson)
    assert "widgets" not in notebook.metadata
    for cell in code_cells(notebook):
        assert all(output.output_type != "error" and output.get("name") != "stderr" for output in cell.outputs), cell.id
        assert not noise.search("\n".join(output_texts(cell))), cell.id
    assert (NOTEBOOKS / language / f"{lesson}.ipynb").stat().st_size < 1_500_000


@pytest.fixture(scope="session")
def article_openings():
    """The first 40 characters of every news text at hand."""
    sources = {"sample", os.environ.get("TORCHNLP_DATA", "sample")}
    return {text[:40] for root in sources for rows in torchnlp.load_dataset(root=root)[:2] for _, text in rows}


@each_notebook
def test_no_output_quotes_an_article(language, lesson, article_openings):
    for cell in code_cells(read(language, lesson)):
        texts = "\n".join(text for text in output_texts(cell) if len(text) < 100_000)
        assert not any(opening in texts for opening in article_openings), cell.id


def test_the_noise_pattern_finds_what_it_is_for(noise):
    for text in ("UserWarning: deprecated", "saved to /home/ann/x", "\x1b[31mred\x1b[0m"):
        assert noise.search(text)
    assert not noise.search("10/20 rows, https://arxiv.org/abs/1810.04805")


def test_stored_notebooks_are_valid():
    for language in LANGUAGES:
        for lesson in ALL:
            nbformat.validate(read(language, lesson))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("lesson", LESSONS)
def test_three_questions_at_the_beginning_are_taken_up_at_the_end(language, lesson):
    texts = {cell.id: cell.source for cell in read(language, lesson).cells}
    ids, asked, answered = list(texts), texts["expect"], texts["expected"]
    assert ids.index("expect") == 1 and ids.index("expected") == ids.index("quiz-1") - 1
    assert [len(re.findall(rf"\*\*{letter}\.\*\*", asked)) for letter in "abc"] == [3, 3, 3]
    questions = [re.findall(r"^(\d)\. ", text, re.MULTILINE) for text in (asked, answered)]
    assert questions == [["1", "2", "3"]] * 2
    sections = set(re.findall(r"[Ss]ection (\d+)|(\d+)절", answered))
    headings = {number for text in texts.values() for number in re.findall(r"^## (\d+)\.", text)}
    assert sections and {one or other for one, other in sections} <= headings

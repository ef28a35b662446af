"""Pages and slides as text, without a browser: nothing from outside, hints for the instructor."""

import re

import pytest

import pages
from course.exercises import HINTS
from course.language import LANGUAGES, SOURCE, WORDS
from course.notebooks import LESSONS, read


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["page", "slides"])
def test_nothing_is_loaded_from_outside_and_answers_are_folded(kind, language, built):
    for lesson in LESSONS:
        html = built(kind, language, lesson)
        without_scripts = re.sub(r"(<script[^>]*>).*?</script>", r"\1", html, flags=re.DOTALL)
        tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", without_scripts)
        assert [tag[:200] for tag in tags if re.search(r"(?:src|href)\s*=\s*[\"'](?!data:)", tag)] == []
        styles = "".join(re.findall(r"<style.*?</style>", without_scripts, re.DOTALL))
        assert not re.search(r"@import|url\(\s*[\"']?(?:https?:)?//", styles)
        assert f'<html lang="{language}">' in html
        summary = "|".join(WORDS[spoken]["pages"]["answer"] for spoken in LANGUAGES)
        answers = re.findall(rf"<details><summary>(?:{summary})</summary>(.*?)</details>", html, re.DOTALL)
        assert len(answers) >= 4 and all(re.match(r"<b>[a-d]\.</b> .{60}", answer) for answer in answers)
        assert "<details open" not in html


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("folder", ["", "solutions/"])
def test_a_page_shows_every_cell_even_those_that_slides_leave_out(folder, language, built):
    solved = {HINTS[spoken]["marks"]["solved"].split()[-1] for spoken in (SOURCE, language)}
    for lesson in LESSONS:
        html, cells = built("page", language, folder + lesson), read(language, folder + lesson).cells
        assert [cell.id for cell in cells if f'id="cell-id={cell.id}"' not in html] == []
        assert any(word in html for word in solved)


@pytest.mark.parametrize("language", LANGUAGES)
def test_hints_are_on_the_slides_and_not_on_the_pages(language, built):
    hint = next(cell.metadata["hint"] for cell in read(language, LESSONS[0]).cells if "hint" in cell.metadata)
    hint = hint.split("*")[0]
    assert hint in built("slides", language, LESSONS[0])
    assert hint not in built("page", language, LESSONS[0])


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_slide_shows_drawing_code_and_pages_do(language, built):
    call = r'plot_\w+</span><span class="p">\('
    assert not any(re.search(call, built("slides", language, lesson)) for lesson in LESSONS)
    assert all(re.search(call, built("page", language, lesson)) for lesson in LESSONS)


def test_only_the_calls_that_draw_are_left_out_of_slides():
    code = 'bars = {"a": 1}\nplot_bars(\n    bars,\n    "x", "title",\n)\nassert bars  # a plot_ in a comment\n'
    assert pages.without_drawing(code) == 'bars = {"a": 1}\nassert bars  # a plot_ in a comment'
    inside = "def show(x):\n    y = x + 1\n    plot_lines({}, y)\n    return y"
    assert pages.without_drawing(inside) == "def show(x):\n    y = x + 1\n    return y"
    assert pages.without_drawing("plot_bars({})") == "" and pages.without_drawing("%time x") == "%time x"


def test_files_of_packages_cannot_end_the_script_they_stand_in_and_missing_ones_are_named():
    for file in ("sphinx-revealjs", "revealjs/dist/reveal.js"), ("sphinx-mathjax-offline", "mathjax/tex-svg-full.js"):
        assert "</script" not in pages.packaged(*file).lower()
    with pytest.raises(FileNotFoundError, match="the package sphinx-revealjs has 0 files nothing.js; run: make setup"):
        pages.packaged("sphinx-revealjs", "nothing.js")

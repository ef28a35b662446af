"""Slides and pages in a real browser, with the network cut off."""

import re

import pytest

from course.language import LANGUAGES, SOURCE
from course.notebooks import LESSONS, code_cells, read

pytestmark = pytest.mark.browser

# What is wrong on the page: TeX that was not rendered, formulas with errors, Hangul that no font has.
PROBLEMS = """() => {
  const problems = [];
  if (document.querySelector("mjx-merror")) problems.push("a formula with an error");
  const prose = document.body.cloneNode(true);
  for (const part of prose.querySelectorAll("script, style, mjx-container, pre, code")) part.remove();
  const tex = prose.textContent.match(/\\$\\$|\\$[^$\\n]*[\\\\_^{][^$\\n]*\\$|\\\\\\(|\\\\frac|\\\\sqrt/);
  if (tex) problems.push("raw TeX: " + tex[0].slice(0, 80));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [40, 40];
  const context = canvas.getContext("2d", {willReadFrequently: true});
  const drawn = (sign) => {
    context.clearRect(0, 0, 40, 40);
    context.font = "30px " + getComputedStyle(document.querySelector(".jp-RenderedMarkdown")).fontFamily;
    context.fillText(sign, 2, 32);
    return context.getImageData(0, 0, 40, 40).data.join();
  };
  const boxes = ["\\ue000", "\\u0378"].map(drawn);  // signs that no font has
  const hangul = new Set(document.body.textContent.match(/[\\uac00-\\ud7a3]/g));
  const missing = [...hangul].filter((sign) => boxes.includes(drawn(sign)));
  if (missing.length) problems.push("no glyphs for " + missing.join(""));
  return problems;
}"""

# Each slide that shows something beyond its edges, or had to be set too small to be read from the back row.
OVERFLOW = """async () => {
  const problems = [];
  for (const slide of document.querySelectorAll("section[data-slide]")) {
    const place = Reveal.getIndices(slide);
    Reveal.slide(place.h, place.v || 0);
    if (!slide.innerText.trim() && !slide.querySelector("img")) problems.push(`${slide.dataset.slide}: empty`);
    if (+slide.dataset.zoom < 0.8) problems.push(`${slide.dataset.slide}: set at ${slide.dataset.zoom}`);
    for (const part of slide.querySelectorAll("p, li, h1, h2, h3, table, img, svg, pre, select")) {
      if (part.closest("aside")) continue;
      const box = part.getBoundingClientRect();
      if (box.right > 1281 || box.bottom > 721 || box.left < -1 || box.top < -1)
        problems.push(`${slide.dataset.slide}: ${part.tagName} ${JSON.stringify(box)}`);
      if (part.scrollWidth > part.clientWidth + 2 && part.tagName === "PRE")
        problems.push(`${slide.dataset.slide}: a line is cut off`);
    }
  }
  return problems;
}"""


def open_deck(show, html, query=""):
    tab = show(html, query)
    tab.wait_for_function("window.Reveal && Reveal.isReady()")
    return tab


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("lesson", LESSONS)
def test_every_slide_shows_all_of_itself(lesson, language, built, show):
    html = built("slides", language, lesson)
    assert len(html.encode()) < 6_000_000
    tab = open_deck(show, html)
    shown = [cell for cell in read(language, lesson).cells if cell.metadata.slideshow.slide_type != "skip"]
    starts = [cell.id for cell in shown if cell.metadata.slideshow.slide_type in ("slide", "subslide")]
    assert tab.eval_on_selector_all("section[data-slide]", "all => all.map((one) => one.dataset.slide)") == starts
    assert tab.evaluate(OVERFLOW) == []
    assert tab.evaluate(PROBLEMS) == []
    formulas = sum("$$" in cell.source for cell in shown if cell.cell_type == "markdown")
    assert tab.locator("mjx-container[display]").count() >= formulas
    assert tab.locator("section aside.notes").count() >= 6
    assert not tab.locator("section aside.notes:visible").count()


def test_a_deck_prints_one_page_for_each_slide(built, show):
    tab = open_deck(show, built("slides", LANGUAGES[-1], LESSONS[0]), "?print-pdf")
    tab.wait_for_selector(".pdf-page")
    slides = tab.locator("section[data-slide]").count()
    assert tab.locator(".pdf-page").count() == slides > 20
    assert len(re.findall(rb"/Type\s*/Page\b", tab.pdf(prefer_css_page_size=True))) == slides


def test_arrows_choose_a_head_and_turn_no_slide(built, show):
    tab = open_deck(show, built("slides", SOURCE, "2-transformers"))
    slide = "section[data-slide='heads-explore-intro']"
    tab.eval_on_selector(slide, "slide => { const {h, v} = Reveal.getIndices(slide); Reveal.slide(h, v); }")
    tab.focus(f"{slide} [data-choose=layer]")
    tab.keyboard.press("ArrowDown")
    assert tab.input_value(f"{slide} [data-choose=layer]") == "2"
    assert tab.locator(slide).is_visible()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("lesson", LESSONS)
def test_a_page_needs_nothing_from_outside(lesson, language, built, show):
    tab = show(built("page", language, lesson))
    tab.evaluate("MathJax.startup.promise")
    assert tab.locator("mjx-container").count() >= 3
    assert tab.evaluate(PROBLEMS) == []
    assert tab.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 1280
    for cell in code_cells(read(language, lesson)):
        if "show_heads(" in cell.source:
            assert tab.locator(f"[id='cell-id={cell.id}'] .show-heads line").count() > 5

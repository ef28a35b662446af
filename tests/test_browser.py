"""Slides, pages, the head explorer and JupyterLab in a real browser, with the network cut off.

The browser is Debian's chromium, which .ci/run installs; without one these tests are skipped.
"""

import copy
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
import torch
from playwright.sync_api import sync_playwright

import pages
from course.heads import show_heads
from course.notebooks import LANGUAGES, LESSONS, NOTEBOOKS, read

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine (Debian: apt-get install chromium)")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
QUIET += ["--disable-sync", "--no-first-run"]


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium):
    """A tab of a slide's size without a network. Errors and requests that would leave the machine fail the test."""
    page = chromium.new_page(viewport={"width": 1280, "height": 720})
    page.context.set_offline(True)
    complaints = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: asked.url.startswith(("file:", "data:", "blob:")) or complaints.append(asked.url))
    page.set_default_timeout(60_000)
    yield page
    page.close()
    assert not complaints


def write(folder, html):
    file = folder / "page.html"
    file.write_text(html, encoding="utf-8")
    return file.as_uri()


# What is wrong on the page: TeX that was not rendered, formulas with errors, Hangul that no font has.
PROBLEMS = """() => {
  const problems = [];
  if (document.querySelector("mjx-merror")) problems.push("a formula with an error");
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const hangul = new Set();
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.parentElement.closest("script, style, mjx-container")) continue;
    for (const sign of node.data.match(/[\\uac00-\\ud7a3]/g) || []) hangul.add(sign);
    if (node.parentElement.closest("pre, code")) continue;
    if (/\\$[^$]*[\\\\_^{][^$]*\\$|\\\\\\(|\\\\frac|\\\\sqrt/.test(node.data))
      problems.push("raw TeX: " + node.data.slice(0, 80));
  }
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
    if (+slide.dataset.zoom < 0.75) problems.push(`${slide.dataset.slide}: set at ${slide.dataset.zoom}`);
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


# --- slides ---------------------------------------------------------------------------------------------------------


@pytest.fixture(
    scope="module", params=[(lesson, language) for lesson in LESSONS for language in LANGUAGES], ids="-".join
)
def deck(request, tmp_path_factory):
    lesson, language = request.param
    html = pages.slides(read(language, lesson), lesson, language)
    return write(tmp_path_factory.mktemp("deck"), html), read(language, lesson), len(html.encode())


def open_deck(tab, address):
    tab.goto(address)
    tab.wait_for_function("window.Reveal && Reveal.isReady()")


def test_every_slide_shows_all_of_itself(deck, tab):
    address, notebook, size = deck
    assert size < 6_000_000
    open_deck(tab, address)
    starts = [cell.id for cell in notebook.cells if cell.metadata.slideshow.slide_type in ("slide", "subslide")]
    assert tab.eval_on_selector_all("section[data-slide]", "all => all.map((one) => one.dataset.slide)") == starts
    assert tab.evaluate(OVERFLOW) == []
    assert tab.evaluate(PROBLEMS) == []
    shown = [cell for cell in notebook.cells if cell.metadata.slideshow.slide_type != "skip"]
    formulas = sum("$$" in cell.source for cell in shown if cell.cell_type == "markdown")
    assert tab.locator("mjx-container[display]").count() >= formulas
    assert tab.locator("section aside.notes").count() >= 6
    assert not tab.locator("section aside.notes:visible").count()


def test_a_deck_prints_one_page_for_each_slide(tab, tmp_path):
    html = pages.slides(read("ko", LESSONS[0]), LESSONS[0], "ko")
    open_deck(tab, write(tmp_path, html) + "?print-pdf")
    tab.wait_for_selector(".pdf-page")
    slides = tab.locator("section[data-slide]").count()
    assert tab.locator(".pdf-page").count() == slides > 20
    assert len(re.findall(rb"/Type\s*/Page\b", tab.pdf(prefer_css_page_size=True))) == slides


def test_arrows_choose_a_head_and_turn_no_slide(tab, tmp_path):
    open_deck(tab, write(tmp_path, pages.slides(read("en", "2-transformers"), "2-transformers", "en")))
    slide = "section[data-slide='heads-explore-intro']"
    tab.evaluate(f"""() => {{
      const place = Reveal.getIndices(document.querySelector("{slide}"));
      Reveal.slide(place.h, place.v);
    }}""")
    tab.focus(f"{slide} [data-choose=layer]")
    tab.keyboard.press("ArrowDown")
    assert tab.input_value(f"{slide} [data-choose=layer]") == "2"
    assert tab.locator(slide).is_visible()


# --- pages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("lesson", LESSONS)
def test_a_page_needs_nothing_from_outside(lesson, language, tab, tmp_path):
    tab.goto(write(tmp_path, pages.page(read(language, lesson), lesson, language)))
    tab.evaluate("MathJax.startup.promise")
    assert tab.locator("mjx-container").count() >= 3
    assert tab.evaluate(PROBLEMS) == []
    assert tab.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 1280


def test_the_start_page_links_what_is_there(tab, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "BUILD", tmp_path)
    (tmp_path / "en").mkdir()
    (tmp_path / "slides").mkdir()
    lesson = LESSONS[0]
    notebook = copy.deepcopy(read("en", lesson))
    notebook.metadata["seconds"] = 12.3
    nbformat.write(notebook, tmp_path / "en" / f"{lesson}.ipynb")
    (tmp_path / "en" / f"{lesson}.html").write_text("<h1>the page</h1>")
    (tmp_path / "slides" / f"{lesson}.ko.html").write_text("<h1>the slides</h1>")
    pages.write_start_page()
    tab.goto((tmp_path / "index.html").as_uri())
    assert tab.locator("a").count() == 2
    assert "12 s" in tab.inner_text("table") and "make KO=1" in tab.inner_text("table")
    tab.click("a >> nth=1")
    assert tab.inner_text("h1") == "the slides"
    tab.go_back()
    tab.click("a >> nth=0")
    assert tab.inner_text("h1") == "the page"


# --- the head explorer ----------------------------------------------------------------------------------------------


@pytest.fixture
def explorer(tab, tmp_path):
    def show(*arguments, **named):
        tab.goto(write(tmp_path, f'<meta charset="utf-8">{show_heads(*arguments, **named).data}'))
        return tab

    return show


def lines(tab, seen=""):
    """{(query, key): weight} of the lines that are drawn, in thousandths."""
    found = tab.eval_on_selector_all(f"line{seen}", "all => all.map((line) => ({...line.dataset}))")
    return {(int(line["query"]), int(line["key"])): int(line["weight"]) for line in found}


WORDS = ["[CLS]", "the", "wolf", "sees", "[SEP]"]
WEIGHTS = torch.randn(6, 12, 5, 5, generator=torch.Generator().manual_seed(0)).mul(2).softmax(dim=-1)


def expected(layer, head):
    thousandths = (WEIGHTS[layer - 1, head - 1] * 1000).round().int()
    return {(i, j): thousandths[i, j].item() for i in range(5) for j in range(5) if thousandths[i, j] >= 10}


def test_choosing_a_head_draws_its_weights(explorer):
    tab = explorer(WEIGHTS, WORDS)
    assert lines(tab) == expected(1, 1)
    tab.select_option("[data-choose=layer]", "3")
    tab.select_option("[data-choose=head]", "5")
    assert lines(tab) == expected(3, 5) != expected(1, 1)
    assert not tab.locator("img").count()  # the picture for places without scripts is gone


def test_pointing_at_a_word_shows_only_its_weights(explorer):
    tab = explorer(WEIGHTS, WORDS, layer=2, head=7)
    tab.hover("text[data-query='2']")
    row = {place: weight for place, weight in expected(2, 7).items() if place[0] == 2}
    assert lines(tab, "[visibility=visible]") == row
    shown = [float(value or 0) for value in tab.locator("text[data-value]").all_text_contents()]
    assert shown == pytest.approx(WEIGHTS[1, 6, 2].tolist(), abs=0.0051)
    tab.mouse.move(0, 0)
    assert lines(tab, "[visibility=visible]") == expected(2, 7)


def test_it_can_be_used_with_the_keyboard_alone(explorer):
    tab = explorer(WEIGHTS, WORDS)
    tab.keyboard.press("Tab")
    tab.keyboard.press("ArrowDown")
    assert lines(tab) == expected(2, 1)
    tab.keyboard.press("Tab")
    tab.keyboard.press("Tab")  # the first word
    assert {query for query, _ in lines(tab, "[visibility=visible]")} == {0}
    best = WORDS[WEIGHTS[1, 0, 0].argmax()]
    assert f"[CLS] looks most at {best}" in tab.evaluate("document.activeElement.getAttribute('aria-label')")


def test_hostile_words_stay_text_in_the_browser(explorer):
    hostile = ["<img src=x onerror=\"document.title='hacked'\">", "</script><b>bold</b>", "&lt;", "'\"", "a"]
    tab = explorer(WEIGHTS, hostile)
    assert tab.locator("text[data-key]").all_text_contents() == hostile
    assert not tab.locator("img, b").count() and tab.title() != "hacked"


def test_without_scripts_the_picture_stays(chromium, tmp_path):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(write(tmp_path, show_heads(WEIGHTS, WORDS).data))
    assert page.locator("img").is_visible() and page.locator("img").bounding_box()["width"] > 500
    context.close()


def test_the_lessons_show_their_heads(chromium, tmp_path):
    for lesson, cell in {
        "1-attention": "alignment-lines",
        "2-transformers": "heads-explore",
        "3-bert": "explain",
    }.items():
        page = chromium.new_page()
        page.goto(write(tmp_path, pages.page(read("en", lesson), lesson, "en")))
        assert page.locator(f"[id='cell-id={cell}'] .show-heads line").count() > 5
        page.close()


# --- JupyterLab -----------------------------------------------------------------------------------------------------


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab that serves a copy of lesson 1, on the offline sample."""
    shutil.copy(NOTEBOOKS / "en" / "1-attention.ipynb", tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", f"--ServerApp.port={port}"),
            *(f"--ServerApp.root_dir={tmp_path}", "--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True"),
        ],
        env=os.environ | {"TORCHNLP_DATA": "sample", "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/api", server)
        yield address
    finally:
        server.terminate()
        server.wait(30)


def wait_for(address, server):
    patience = time.monotonic() + 60
    while True:
        try:
            return urllib.request.urlopen(address, timeout=2).close()
        except OSError:
            assert server.poll() is None and time.monotonic() < patience, "JupyterLab did not start"
            time.sleep(0.3)


RESULTS = """() => window.jupyterapp.shell.currentWidget.content.widgets
  .filter((cell) => cell.model.type === "code")
  .map((cell) => ({
    id: cell.model.id,
    count: cell.model.executionCount,
    errors: cell.model.outputs.toJSON().filter((output) => output.output_type === "error").map((one) => one.evalue),
  }))"""


def test_jupyterlab_runs_lesson_1_from_top_to_bottom(lab, chromium):
    page = chromium.new_page()
    page.goto(f"{lab}/lab/tree/1-attention.ipynb")
    page.wait_for_function(
        "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.info", timeout=60_000
    )
    page.wait_for_function("() => window.jupyterapp.shell.currentWidget.context?.isReady", timeout=30_000)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.set_default_timeout(300_000)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(f"() => ({RESULTS})().every((cell) => cell.count || cell.errors.length)", timeout=300_000)
    results = page.evaluate(RESULTS)
    assert [cell for cell in results if cell["errors"]] == []
    assert [cell["count"] for cell in results] == list(range(1, len(results) + 1))
    page.close()

"""What axe-core finds on start page, pages and slides, light and dark (WCAG 2.1 AA and its best practices): nothing."""

import pytest
from axe_playwright_python.sync_playwright import Axe

import collect
import pages
import play
from course.language import LANGUAGES, SOURCE, TRANSLATIONS
from course.notebooks import LESSONS, SOLUTIONS

pytestmark = pytest.mark.browser
ALL, COLOURS = {}, {"runOnly": ["color-contrast", "link-in-text-block"]}  # the rest does not depend on the scheme


def violations(tab, options):
    """Each fault with its element, as one line."""
    found = Axe().run(tab, options=options | {"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{fault['id']}: {node['html'][:200]} {node['failureSummary']}" for fault in found for node in fault["nodes"]
    ]


def faults(tab):
    """In light and in dark, with everything open that can be opened."""
    tab.eval_on_selector_all("details", "all => all.forEach((one) => (one.open = true))")
    found = violations(tab, ALL)
    tab.emulate_media(color_scheme="dark")
    return found + violations(tab, COLOURS)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("lesson", LESSONS + SOLUTIONS)
def test_pages(lesson, language, built, show):
    tab = show(built("page", language, lesson))
    tab.evaluate("MathJax.startup.promise")
    assert faults(tab) == []
    assert tab.get_attribute("html", "lang") == language


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("lesson", LESSONS)
def test_slides(lesson, language, built, show):
    tab = show(built("slides", language, lesson), "?print-pdf")  # all of them, one below the other
    tab.wait_for_selector(".pdf-page")
    assert faults(tab) == []


def test_the_start_page_and_the_controls_of_a_deck(built, show, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "BUILD", tmp_path)
    pages.write_start_page()
    assert faults(show((tmp_path / "index.html").read_text("utf-8"))) == []
    tab = show(built("slides", "ko", LESSONS[0]))
    tab.wait_for_function("window.Reveal && Reveal.isReady()")
    assert faults(tab) == []
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 27)"  # now it is dark
    assert tab.get_attribute(".navigate-right", "aria-label") == "다음 슬라이드"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_of_a_class(language, show):
    rows = [("ann", "1.1", "solved", ""), ("ben", "1.1", "wrong", "<b>no</b>"), ("cleo", "", "error", "no notebook")]
    tab = show(
        collect.page_of([dict(zip(collect.COLUMNS, [who, "", *rest], strict=True)) for who, *rest in rows], language)
    )
    assert faults(tab) == []
    assert "<b>no</b>" in tab.inner_text("main") and tab.get_attribute("html", "lang") == language


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("view", play.VIEWS)
def test_the_page_to_play_with(view, language, tab, play_pages):
    page = (play_pages / language / "play.html").as_uri()
    for state in ("word=1&k=5&padding=3&truth=on&sentence=the+girl+sees+the+boy", "sentence=the+cat"):
        tab.emulate_media(color_scheme="light")
        tab.goto("about:blank")
        tab.goto(f"{page}#view={view}&{state}")
        assert faults(tab) == []


def test_the_test_sees_a_fault(show):
    text = "<p style='color: #999'>pale</p>"
    found = faults(show(f"<!DOCTYPE html><html lang=en><title>t</title><main><h1>T</h1>{text}</main>"))
    assert {fault.split(":")[0] for fault in found} == {"color-contrast"}


def test_the_keyboard_skips_the_navigation_and_sees_where_it_is(built, show):
    tab = show(built("page", SOURCE, LESSONS[0]))
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the lesson"
    assert tab.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px"
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.tagName") == "MAIN"


def test_an_animation_stands_still_for_who_wants_it(built, show):
    tab = show(built("page", "ko", "2-transformers"))
    shown = "document.querySelector('picture img').currentSrc.slice(5, 14)"
    assert tab.evaluate(shown) == "image/gif"
    tab.emulate_media(reduced_motion="reduce")
    tab.wait_for_function(f"{shown} === 'image/png'")
    tab.emulate_media(reduced_motion="no-preference")
    tab.click("text=애니메이션 멈추기")
    tab.wait_for_function(f"{shown} === 'image/png'")
    tab.click("text=애니메이션 재생")
    tab.wait_for_function(f"{shown} === 'image/gif'")


CUT = """(width) => [...document.querySelectorAll("main *")].filter((part) => {
  const seen = part.matches("img, svg, select, button") || part.textContent.trim();
  const wide = part.getBoundingClientRect().right > width + 1;
  const cut = part.matches("pre") && part.scrollWidth > part.clientWidth + 2;
  return seen && (wide || cut) && !part.closest("aside, mjx-assistive-mml");
}).map((part) => part.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize("lesson", LESSONS)
def test_nothing_is_cut_off_on_a_phone_at_200_percent_or_on_paper(lesson, built, show):
    tab = show(built("page", TRANSLATIONS[0], lesson))
    tab.evaluate("MathJax.startup.promise")
    for width, medium in ((640, "screen"), (360, "screen"), (700, "print")):  # 700: A4 without its margins
        tab.set_viewport_size({"width": width, "height": 720})
        tab.emulate_media(media=medium)
        assert tab.evaluate(CUT, width) == [], (width, medium)
    tallest = tab.eval_on_selector_all(
        "img", "all => Math.max(...all.map((one) => one.getBoundingClientRect().height))"
    )
    assert tallest < 1000  # a page of A4 has room for it

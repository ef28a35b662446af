"""The view of attention heads in a real browser: mouse, keyboard, hostile words, no scripts."""

import pytest
import torch

from course.heads import show_heads

pytestmark = pytest.mark.browser

WORDS = ["[CLS]", "the", "wolf", "sees", "[SEP]"]
WEIGHTS = torch.randn(6, 12, 5, 5, generator=torch.Generator().manual_seed(0)).mul(2).softmax(dim=-1)


@pytest.fixture
def explorer(show):
    return lambda words, **named: show(f'<meta charset="utf-8">{show_heads(WEIGHTS, words, **named).data}')


def lines(tab, seen=""):
    """{(query, key): weight} of the lines that are drawn, in thousandths."""
    found = tab.eval_on_selector_all(f"line{seen}", "all => all.map((line) => ({...line.dataset}))")
    return {(int(line["query"]), int(line["key"])): int(line["weight"]) for line in found}


def expected(layer, head):
    thousandths = (WEIGHTS[layer - 1, head - 1] * 1000).round().int()
    return {(i, j): thousandths[i, j].item() for i in range(5) for j in range(5) if thousandths[i, j] >= 10}


def test_the_mouse_chooses_a_head_and_a_word(explorer):
    tab = explorer(WORDS, layer=2, head=7)
    assert lines(tab) == expected(2, 7)
    tab.select_option("[data-choose=layer]", "3")
    tab.select_option("[data-choose=head]", "5")
    assert lines(tab) == expected(3, 5) != expected(2, 7)
    assert not tab.locator("img").count()  # the picture for places without scripts is gone
    tab.hover("text[data-query='2']")
    row = {place: weight for place, weight in expected(3, 5).items() if place[0] == 2}
    assert lines(tab, "[visibility=visible]") == row
    shown = [float(value or 0) for value in tab.locator("text[data-value]").all_text_contents()]
    assert shown == pytest.approx(WEIGHTS[2, 4, 2].tolist(), abs=0.0051)
    tab.mouse.move(0, 0)
    assert lines(tab, "[visibility=visible]") == expected(3, 5)


def test_it_can_be_used_with_the_keyboard_alone(explorer):
    tab = explorer(WORDS)
    tab.keyboard.press("Tab")
    tab.keyboard.press("ArrowDown")
    assert lines(tab) == expected(2, 1)
    tab.keyboard.press("Tab")
    tab.keyboard.press("Tab")  # the first word
    assert {query for query, _ in lines(tab, "[visibility=visible]")} == {0}
    best = WORDS[WEIGHTS[1, 0, 0].argmax()]
    assert f"[CLS] looks most at {best}" in tab.evaluate("document.activeElement.getAttribute('aria-label')")


def test_words_are_large_enough_on_a_phone(explorer):
    tab = explorer(WORDS)
    tab.set_viewport_size({"width": 390, "height": 844})
    assert tab.locator("text[data-query='2']").bounding_box()["height"] > 14
    boxes = [text.bounding_box() for text in tab.locator("svg text").all() if text.text_content()]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)


def test_hostile_words_stay_text_in_the_browser(explorer):
    hostile = ["<img src=x onerror=\"document.title='hacked'\">", "</script><b>bold</b>", "&lt;", "'\"", "$x^2$"]
    tab = explorer(hostile)
    assert tab.locator("text[data-key]").all_text_contents() == hostile
    assert not tab.locator("img, b").count() and tab.title() != "hacked"


def test_without_scripts_the_picture_stays(chromium):
    with chromium.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.set_content(show_heads(WEIGHTS, WORDS).data)
        assert page.locator("img").is_visible() and page.locator("img").bounding_box()["width"] > 500

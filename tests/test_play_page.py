"""The page to play with in a real browser: what it shows, its address, hands and eyes of all kinds."""

import re

import pytest

import play
from course.language import LANGUAGES

pytestmark = pytest.mark.browser


@pytest.fixture
def look(tab, play_pages):
    """A function that opens the page at an address: look("view=writer", "ko")."""

    def open_page(state="", language=LANGUAGES[0]):
        tab.goto("about:blank")
        tab.goto(f"{(play_pages / language / 'play.html').as_uri()}#{state}")
        return tab

    return open_page


def shown(tab, part):
    view = tab.evaluate("shown")
    return tab.locator(f"form[data-view={view}] [data-part={part}]")


def address(tab, state):
    tab.wait_for_function("(state) => location.hash === '#' + state", arg=state)


LONG = "the big wolf sees the small girl because the teacher calls the tired angry boy and the queen laughs now"


def test_a_translation_is_compared_with_the_grammar_and_the_address_keeps_what_is_seen(look):
    tab = look("view=translator")
    assert (
        shown(tab, "translations").locator("button").all_text_contents() == "lupus magnus puellam parvam videt".split()
    )
    tab.fill("#translator-sentence", LONG)
    rows = shown(tab, "translations").locator(".translation")
    assert rows.nth(0).locator(".wrong").count() == 0 < rows.nth(1).locator(".wrong").count()
    tab.check("form[data-view=translator] [name=truth]")
    latin = tab.evaluate(f"grammar.translation({LONG.split()})[0].length")
    assert (
        shown(tab, "matrix").locator("rect.truth").count() == shown(tab, "lines").locator("line.truth").count() == latin
    )
    rows.nth(0).locator("button").nth(2).focus()  # the keyboard is there: its row is chosen
    assert {line["row"] for line in shown(tab, "lines").locator("line.weight").evaluate_all(DATA)} == {"2"}
    state = f"view=translator&sentence={LONG.replace(' ', '+')}&truth=on&word=2"
    address(tab, state)
    again = look(state)
    assert again.input_value("#translator-sentence") == LONG
    assert "puellam looks most at girl" in shown(again, "reading").text_content()


DATA = "all => all.map((part) => ({...part.dataset}))"


def test_padding_gets_weight_only_without_the_mask(look):
    for mask, padded in (("", 0), ("&unmasked=on", 1)):
        tab = look(f"view=translator&padding=12{mask}")
        share = float(re.search(r"[\d.]+", shown(tab, "padding-share").text_content())[0])
        assert (share > 0) == padded
        assert (shown(tab, "lines").locator("line.padding").count() > 0) == padded


def test_words_are_picked_and_appear_one_by_one_and_unknown_ones_are_named(look):
    tab = look("view=translator&sentence=the+cat+sees+a+dog")
    assert "cat, a, dog" in tab.locator("form:not([hidden]) [data-part=problem]").text_content()
    assert shown(tab, "count").text_content() == "5" and tab.locator("[data-do=next]").is_disabled()
    for unknown, known in (("cat", "wolf"), ("a", "the"), ("dog", "girl")):  # one after the other is replaced
        assert f"place of {unknown}." in shown(tab, "problem").text_content()
        shown(tab, "pick").get_by_role("button", name=known, exact=True).click()
    assert tab.input_value("#translator-sentence") == "the wolf sees the girl"
    assert tab.locator("[data-do=next]").is_enabled()
    tab.fill("#translator-sentence", "")
    for word in "the happy poet sings".split():
        shown(tab, "pick").get_by_role("button", name=word, exact=True).click()
    assert tab.input_value("#translator-sentence") == "the happy poet sings"
    assert shown(tab, "problem").text_content() == ""
    offered = shown(tab, "pick").locator("button.word").all_text_contents()
    assert set(offered) == {"today", "often", "always", "now", "and", "but", "because"}
    for count in (1, 2, 3):
        tab.click("[data-do=next]")
        assert shown(tab, "translations").locator("button").count() == count
    assert shown(tab, "translations").locator("button").all_text_contents() == ["poeta", "laetus", "cantat"]


def test_a_long_sentence_is_seen_whole_and_what_the_model_leaves_out_too(look):
    tab = look(f"view=translator&sentence={LONG.replace(' ', '+')}")
    field = tab.locator("#translator-sentence")
    assert field.evaluate("(box) => box.scrollHeight <= box.clientHeight")
    field.press("Enter")
    assert tab.input_value("#translator-sentence") == LONG
    missing = "translation_row('', ['lupus'], {truth: ['lupus', 'magnus', 'videt'], whole: WHOLE}).textContent"
    assert tab.evaluate(missing.replace("WHOLE", "true")).endswith("– ✗ magnus– ✗ videt")
    assert "✗" not in tab.evaluate(missing.replace("WHOLE", "false"))  # word by word: the rest is still to come
    for words, said in (("the big wolf sees", "Unfinished, right so far"), ("the wolf the", "no sentence")):
        tab.fill("#translator-sentence", words)
        assert said in shown(tab, "translations").text_content()


def test_bars_follow_the_knobs_and_a_seed_repeats_what_was_written(look):
    tab = look("view=writer&sentence=the+girl")
    numbers = "all => all.map((part) => parseFloat(part.textContent))"
    before = shown(tab, "bars").locator(".number").evaluate_all(numbers)
    tab.fill("form[data-view=writer] [name=temperature]", "0.3")
    colder = shown(tab, "bars").locator(".number").evaluate_all(numbers)
    assert colder[0] > before[0] and sum(colder) <= 100.5
    tab.fill("form[data-view=writer] [name=k]", "5")
    assert shown(tab, "bars").locator(".out").count() == 7
    tab.fill("form[data-view=writer] [name=k]", "41")
    tab.fill("form[data-view=writer] [name=p]", "0.05")
    assert shown(tab, "bars").locator(".bar:not(.out)").count() == 1
    tab = look("view=writer&sentence=&seed=7")
    tab.click("[data-do=one]")
    first = tab.input_value("#writer-sentence")
    tab.click("[data-do=on]")
    written = tab.input_value("#writer-sentence")
    assert written.startswith(first) and written.endswith("<end>")
    assert shown(tab, "verdict").text_content().startswith("✓")
    for _ in written.split()[1:]:
        tab.click("[data-do=back]")
    assert tab.input_value("#writer-sentence") == first
    tab.click("[data-do=on]")
    assert tab.input_value("#writer-sentence") == written
    shown(tab, "bars")
    tab = look("view=writer&sentence=the+girl+the")
    assert "word 3" in shown(tab, "verdict").text_content()


def test_written_sentences_are_judged_and_the_mask_hides_what_follows(look):
    tab = look("view=writer&sentence=the+girl+sings")
    upper = """all => all.filter((part) => +part.dataset.column > +part.dataset.row)
        .filter((part) => +part.getAttribute("fill-opacity") > 0).length"""
    assert shown(tab, "matrix").locator(".cell").evaluate_all(upper) == 0
    tab.uncheck("form[data-view=writer] [name=mask]")
    assert shown(tab, "matrix").locator(".cell").evaluate_all(upper) > 0
    tab.check("form[data-view=writer] [name=mask]")
    tab.fill("form[data-view=writer] [name=temperature]", "3")
    tab.click("[data-do=many]")
    tab.wait_for_function("document.querySelectorAll('[data-part=many] li').length === 20")
    right = tab.evaluate("""[...document.querySelectorAll("[data-part=many] li")].map((one) =>
        [one.textContent[0] === "✓", grammar.is_right(to_words(one.textContent.slice(2)))])""")
    assert all(told == true for told, true in right) and not all(true for _, true in right)
    assert shown(tab, "share").text_content() == f"{sum(true for _, true in right)} of 20 right"


def test_layers_heads_kinds_and_positions_of_the_transformer(look):
    tab = look("view=transformer&sentence=the+wolf+sees+the+girl")
    rows = shown(tab, "translations").locator(".translation").nth(0).locator(".word")
    assert [text.split()[0] for text in rows.all_text_contents()] == ["lupus", "puellam", "videt"]
    cells = "all => all.map((part) => part.getAttribute('fill-opacity')).join()"
    seen = set()
    for kind in ("cross", "encoder", "self"):
        for layer, head in (("1", "2"), ("2", "2"), ("2", "3"), ("2", "mean")):
            for name, value in (("kind", kind), ("layer", layer), ("head", head)):
                tab.select_option(f"form[data-view=transformer] [name={name}]", value)
            seen.add(shown(tab, "matrix").locator(".cell").evaluate_all(cells))
    assert len(seen) == 12
    tab.uncheck("form[data-view=transformer] [name=positions]")
    without = rows.all_text_contents()
    tab.fill("#transformer-sentence", "the girl sees the wolf")  # the same words: no order, no difference
    assert [word.split()[0] for word in rows.all_text_contents()] == [word.split()[0] for word in without]


def test_points_are_moved_with_the_mouse_and_with_the_keyboard(look):
    tab = look("view=lookup")
    cells = shown(tab, "table").locator("td:not(:empty)")
    assert cells.all_text_contents()[:3] == ["1.00", "0.20", "-1.00"]
    assert "(6.74, 3.26)" in shown(tab, "reading").text_content()
    for name in ("keys", "values"):
        texts = shown(tab, name).locator("text:not(.number)")
        boxes = texts.evaluate_all("all => all.map((one) => one.getBoundingClientRect().toJSON())")
        for i, one in enumerate(boxes):
            for other in boxes[:i]:  # a box is up to 4 pixels taller than its letters
                beside = one["left"] >= other["right"] or other["left"] >= one["right"]
                below = one["top"] + 4 >= other["bottom"] or other["top"] + 4 >= one["bottom"]
                assert beside or below, (one, other)
    query = tab.locator("[data-point='0'] circle").nth(1).bounding_box()  # it lies on key 1
    on_top = "([x, y]) => document.elementFromPoint(x, y).closest('[data-point]').dataset.point"
    assert tab.evaluate(on_top, [query["x"] + 9, query["y"] + 9]) == "0"
    tab.focus("[data-point='0']")
    tab.keyboard.press("ArrowUp")
    assert cells.all_text_contents()[:3] == ["1.00", "0.30", "-1.00"]
    assert tab.evaluate("document.activeElement.dataset.point") == "0"
    box = tab.locator("[data-point='2'] circle").nth(1).bounding_box()
    tab.mouse.move(box["x"] + 9, box["y"] + 9)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 9 + 50, box["y"] + 9, steps=5)
    tab.mouse.up()
    assert float(cells.all_text_contents()[1]) > 0.9
    tab.wait_for_function("location.hash === '#' + state_of(forms[shown])")
    state = tab.evaluate("location.hash.slice(1)")
    numbers = cells.all_text_contents()
    assert shown(look(state), "table").locator("td:not(:empty)").all_text_contents() == numbers
    bits = [
        float(re.search(r"entropy ([\d.]+)", shown(tab, f"{name}-caption").text_content())[1])
        for name in ("raw", "divided")
    ]
    tab.fill("form[data-view=lookup] [name=power]", "10")
    later = [
        float(re.search(r"entropy ([\d.]+)", shown(tab, f"{name}-caption").text_content())[1])
        for name in ("raw", "divided")
    ]
    assert later[0] < bits[0] < 1 and abs(later[1] - bits[1]) < 0.2


HOSTILE = "%3Cimg%20src%3Dx%20onerror%3D%22document.title%3D'hacked'%22%3E%3C%2Fscript%3E%3Cb%3E"


@pytest.mark.parametrize("view", play.VIEWS)
def test_hostile_addresses_stay_text_and_odd_ones_are_mended(view, look):
    names = ["sentence", "word", "written", "points", "kind", "layer", "head", "temperature", "k", "p", "seed", "count"]
    tab = look(f"view={view}&" + "&".join(f"{name}={HOSTILE}" for name in [*names, "padding", "power", "__proto__"]))
    tab.evaluate("(text) => { const box = forms[shown].elements.sentence; if (box) { box.value = text; changed(); } }",
                 "<img src=x onerror=\"document.title='hacked'\"><b>")  # fmt: skip
    assert not tab.locator("img, b").count() and "hacked" not in tab.title()
    assert tab.evaluate("shown") == view
    numbers = "word=-1&written=1e9&temperature=NaN&k=0&p=-3&seed=99999999999&layer=7"
    tab = look(f"view={view}&{numbers}&points=1,,_x&padding=1e9&count=999&power=99")
    assert "NaN" not in tab.locator("main").inner_text()
    look("view=constructor&sentence=" + "the+" * 5000)
    assert tab.evaluate("shown") == play.VIEWS[0]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("view", play.VIEWS)
def test_a_phone_shows_everything_and_the_keyboard_reaches_it(language, view, look):
    tab = look(f"view={view}&sentence={LONG.replace(' ', '+')}&padding=12", language)
    tab.set_viewport_size({"width": 360, "height": 700})
    tab.evaluate("redraw()")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    small = """all => all.filter((one) => one.offsetParent)
        .filter((one) => (one.closest("label.box") ?? one).getBoundingClientRect().height < 40)
        .map((one) => one.outerHTML.slice(0, 99))"""
    assert tab.eval_on_selector_all("button, a:not(.skip), select, input, textarea, summary", small) == []
    goes_on = tab.locator("form:not([hidden]) .scroll[data-part=matrix]").evaluate_all(
        "all => all.map((box) => [box.scrollWidth > box.clientWidth, !box.previousElementSibling.hidden])"
    )
    assert all(is_wide == is_said for is_wide, is_said in goes_on)
    wanted = tab.evaluate(
        "forms[shown].querySelectorAll('button:not(:disabled), select, input:not([hidden]), [tabindex]').length"
    )
    reached = set()
    for _ in range(wanted + 10):
        tab.keyboard.press("Tab")
        reached.add(tab.evaluate("[...forms[shown].querySelectorAll('*')].indexOf(document.activeElement)"))
    assert len(reached - {-1}) >= wanted


def test_what_changed_is_said_once_when_the_hand_rests(look):
    tab = look("view=lookup")
    tab.wait_for_function("document.getElementById('status').textContent !== ''")
    tab.evaluate("""() => {
      window.said = 0;
      const count = new MutationObserver((all) => { said += all.length; });
      count.observe(document.getElementById("status"), {childList: true});
    }""")
    for step in range(12):
        tab.fill("form[data-view=lookup] [name=temperature]", str(1 + step / 10))
    tab.wait_for_function("window.said > 0")
    assert tab.evaluate("window.said") == 1


def test_the_other_language_shows_the_same_state(look):
    tab = look("view=writer&sentence=the+girl+sings&temperature=0.5")
    tab.locator("[data-language]").first.click()
    tab.wait_for_function("document.documentElement.lang !== 'en'")
    assert tab.input_value("#writer-sentence") == "the girl sings" and tab.evaluate("shown") == "writer"


def test_a_finger_drags_points_chooses_rows_and_scrolls_elsewhere(chromium, play_pages):
    with chromium.new_context(viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True) as context:
        context.set_offline(True)
        tab = context.new_page()
        page = (play_pages / LANGUAGES[0] / "play.html").as_uri()
        tab.goto(f"{page}#view=lookup")
        touch = context.new_cdp_session(tab)

        def drag(x, y, right, down):
            for i in range(11):
                point = {"x": x + right * i / 10, "y": y + down * i / 10}
                kind = "touchMove" if i else "touchStart"
                touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
            touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
            tab.wait_for_timeout(300)  # the page glides on

        tab.locator("[data-point='2']").scroll_into_view_if_needed()
        box, scrolled = tab.locator("[data-point='2'] circle").nth(1).bounding_box(), tab.evaluate("scrollY")
        drag(box["x"] + 9, box["y"] + 9, 40, -60)
        moved = tab.input_value("form[data-view=lookup] [name=points]").split("_")[2]
        assert moved == "0.6,1.8" and tab.evaluate("scrollY") == scrolled
        plane = shown(tab, "keys").locator("svg").bounding_box()
        drag(plane["x"] + 20, plane["y"] + plane["height"] - 20, 0, -200)
        assert tab.evaluate("scrollY") > scrolled
        assert tab.input_value("form[data-view=lookup] [name=points]").split("_")[2] == moved

        tab.goto(f"{page}#view=translator")
        word = shown(tab, "translations").locator("button").nth(1)
        word.tap()
        assert "magnus looks most at big" in shown(tab, "reading").text_content()
        word.tap()
        assert "looks most" not in shown(tab, "reading").text_content()
        shown(tab, "matrix").locator("rect.row").nth(3).tap()
        assert "parvam looks most at small" in shown(tab, "reading").text_content()


@pytest.mark.parametrize("view", ["translator", "transformer"])
def test_the_first_tap_in_the_lines_chooses_the_word_that_it_touches(view, chromium, play_pages):
    with chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as context:
        tab = context.new_page()
        tab.goto(f"{(play_pages / LANGUAGES[0] / 'play.html').as_uri()}#view={view}")
        word = shown(tab, "lines").get_by_text("puellam", exact=True)
        before = word.evaluate("(text) => text.getBoundingClientRect().top + scrollY")
        word.tap()
        assert shown(tab, "reading").text_content().startswith("puellam looks most at")
        word = shown(tab, "lines").get_by_text("puellam", exact=True)
        assert word.evaluate("(text) => text.getBoundingClientRect().top + scrollY") == before

"""show_heads: what it refuses, what it writes. What it does in a browser: test_browser_heads.py."""

import base64
import io
import json
import re

import pytest
import torch
from matplotlib.image import imread

from course import heads
from course.heads import show_heads

WORDS = ["[CLS]", "wolf", "##s", "[SEP]"]
WEIGHTS = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).softmax(dim=-1)


def data_of(html):
    return json.loads(re.search(r"parentElement, (\{.*\})\);</script>", html, re.DOTALL).group(1))


def test_the_weights_of_all_heads_are_inside_to_three_digits():
    written = data_of(show_heads(WEIGHTS, WORDS).data)
    assert written["queries"] == written["keys"] == WORDS
    assert torch.allclose(torch.tensor(written["weights"]) / 1000, WEIGHTS, atol=0.00051)


def test_what_transformers_gives_is_taken_as_it_is_and_gives_the_same_text():
    as_tuple = tuple(layer.unsqueeze(0).requires_grad_() for layer in WEIGHTS.clone())
    assert show_heads(as_tuple, WORDS).data == show_heads(WEIGHTS, WORDS).data


def test_words_that_look_may_differ_from_those_looked_at():
    written = data_of(show_heads(WEIGHTS[:, :, :2], WORDS, queries=["lupus", "videt"]).data)
    assert written["queries"] == ["lupus", "videt"] and written["keys"] == WORDS


def test_the_picture_for_places_without_scripts_is_a_readable_png():
    shown = [show_heads(WEIGHTS, WORDS, layer=2, head=head).data for head in (2, 3)]
    pictures = [base64.b64decode(re.search(r"base64,([^\"]+)", html).group(1)) for html in shown]
    assert imread(io.BytesIO(pictures[1])).shape[1] == 760 and pictures[0] != pictures[1]
    best = WORDS[WEIGHTS[1, 2, 0].argmax()]
    assert f'alt="Attention weights of layer 2, head 3. [CLS] looks most at {best}, ' in shown[1]


def test_it_speaks_the_language_of_the_lesson(monkeypatch):
    monkeypatch.setattr(heads, "here", lambda: "ko")
    shown = show_heads(WEIGHTS, WORDS).data
    assert 'alt="어텐션 가중치: 층 1, 헤드 1. [CLS]: 가중치가 가장 큰 곳은' in shown
    assert data_of(shown)["words"]["layer"] == "층"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((WEIGHTS, WORDS[:3]), r"expected weights \(layers, heads, 3, 3\) .* got \(2, 3, 4, 4\)"),
        ((WEIGHTS[0], WORDS), r"got \(3, 4, 4\)"),
        ((WEIGHTS, WORDS, ["a"]), r"expected weights \(layers, heads, 1, 4\)"),
        ((WEIGHTS * 2, WORDS), "each row must be 0 or more and sum to 1"),
        ((torch.full((1, 1, 4, 4), float("nan")), WORDS), "each row must be 0 or more and sum to 1"),
        (([torch.stack([layer, layer]) for layer in WEIGHTS], WORDS), r"expected one text, .* got \(2, 3, 4, 4\)"),
        (((None, None), WORDS), 'attn_implementation="eager"'),
        (((), WORDS), 'attn_implementation="eager"'),
        ((WEIGHTS, WORDS, None, 3, 1), "no head 3.1: layers count from 1 to 2, heads from 1 to 3"),
        ((WEIGHTS, WORDS, None, 0, 1), "no head 0.1"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        show_heads(*arguments)

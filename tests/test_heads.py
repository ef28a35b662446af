"""show_heads: what it refuses, what it writes. What it does in a browser: test_browser_heads.py."""

import base64
import io
import json
import re

import pytest
import torch
from matplotlib.image import imread

from course.heads import show_heads

WORDS = ["[CLS]", "wolf", "##s", "[SEP]"]


def weights(layers=2, heads=3, queries=4, keys=4, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(layers, heads, queries, keys, generator=random).softmax(dim=-1)


def data_of(html):
    return json.loads(re.search(r"parentElement, (\{.*\})\);</script>", html, re.DOTALL).group(1))


def test_the_weights_of_all_heads_are_inside_to_three_digits():
    given = weights()
    written = data_of(show_heads(given, WORDS).data)
    assert written["queries"] == written["keys"] == WORDS
    assert torch.allclose(torch.tensor(written["weights"]) / 1000, given, atol=0.00051)


def test_what_transformers_gives_is_taken_as_it_is():
    given = weights()
    as_tuple = tuple(layer.unsqueeze(0).requires_grad_() for layer in given)
    assert show_heads(as_tuple, WORDS).data == show_heads(given, WORDS).data


def test_words_that_look_may_differ_from_those_looked_at():
    written = data_of(show_heads(weights(1, 1, 2, 4), WORDS, queries=["lupus", "videt"]).data)
    assert written["queries"] == ["lupus", "videt"] and written["keys"] == WORDS


def test_the_same_weights_give_the_same_text():
    assert show_heads(weights(), WORDS).data == show_heads(weights(), WORDS).data


def test_hostile_words_stay_text():
    hostile = ['<img onerror="alert(1)" src=x>', "</script><script>alert(2)</script>", "$x^2$", "\"'&"]
    html = show_heads(weights(), hostile).data
    assert html.count("<img") == 1 and html.count("<script") == html.count("</script") == 1
    assert data_of(html)["keys"] == hostile


def test_the_picture_for_places_without_scripts_is_a_readable_png():
    html = show_heads(weights(), WORDS, layer=2, head=3).data
    png = base64.b64decode(re.search(r"base64,([^\"]+)", html).group(1))
    assert imread(io.BytesIO(png)).shape[1] == 760
    assert 'alt="Attention weights of layer 2, head 3: [CLS] wolf ##s [SEP]"' in html
    other = show_heads(weights(), WORDS, layer=2, head=2).data
    assert png != base64.b64decode(re.search(r"base64,([^\"]+)", other).group(1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((weights(), WORDS[:3]), r"expected weights \(layers, heads, 3, 3\) .* got \(2, 3, 4, 4\)"),
        ((weights()[0], WORDS), r"got \(3, 4, 4\)"),
        ((weights(), WORDS, ["a"]), r"expected weights \(layers, heads, 1, 4\)"),
        ((weights() * 2, WORDS), "each row must be 0 or more and sum to 1"),
        ((torch.full((1, 1, 4, 4), float("nan")), WORDS), "each row must be 0 or more and sum to 1"),
        ((tuple(weights(2, 3).split(2)), WORDS), r"expected one text, .* got \(2, 3, 4, 4\)"),
        (((None, None), WORDS), 'attn_implementation="eager"'),
        (((), WORDS), 'attn_implementation="eager"'),
        ((weights(), WORDS, None, 3, 1), "no head 3.1: layers count from 1 to 2, heads from 1 to 3"),
        ((weights(), WORDS, None, 0, 1), "no head 0.1"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        show_heads(*arguments)

"""The pictures of the lessons: drawn again, they have the pixels of the stored ones. Bytes depend on more libraries."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

import draw
from course.notebooks import ROOT


def frames(path):
    """The pixels of a picture, (frames, height, width, 3), from 0 to 255."""
    with Image.open(path) as image:
        return np.stack([np.asarray(frame.convert("RGB"), dtype=int) for frame in ImageSequence.Iterator(image)])


def difference(name, folder):
    draw.draw(name, folder)
    drawn, stored = frames(folder / name), frames(ROOT / "images" / name)
    assert drawn.shape == stored.shape
    return abs(drawn - stored)


@pytest.mark.parametrize(
    "name",
    [
        "encoder-decoder-attention.png",
        "attention-by-hand.png",
        "transformer-block.png",
        "transformer-animated-explanation.png",
        "cross-attention.png",
        "key-value-cache.png",
        pytest.param("transformer-animated-explanation.gif", marks=pytest.mark.slow),
        pytest.param("jalammarBERT-language-modeling-masked-lm.png", marks=pytest.mark.slow),
    ],
)
def test_a_picture_is_drawn_again_exactly(name, tmp_path):
    assert difference(name, tmp_path).max() == 0


@pytest.mark.slow
def test_a_translator_trained_again_aligns_the_same_words(tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as different as on another machine: the stored picture is of two threads
    changed = difference("bahdanau-fig3.png", tmp_path).max(axis=-1) > 75
    torch.set_num_threads(threads)
    assert changed.mean() < 1e-4  # shades may differ between machines; another word or another alignment may not


def test_a_picture_that_does_not_exist_is_named(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["draw.py", "nothing.png"])
    with pytest.raises(SystemExit):
        draw.main()
    assert "there is no picture nothing.png; expected one of encoder-decoder-attention.png" in capsys.readouterr().err

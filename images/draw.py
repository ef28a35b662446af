"""Draw the pictures of the course.

python images/draw.py               all pictures, written beside this file
python images/draw.py NAME          only the ones that are named
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import transformers
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

import charts
import decoder
import layers
import masked
import transformer
import translation
from sheet import STYLE

PICTURES = {
    "encoder-decoder-attention.png": translation.encoder_decoder_attention,
    "bahdanau-fig3.png": translation.alignment_matrices,
    "attention-by-hand.png": transformer.by_hand,
    "transformer-block.png": transformer.block,
    "transformer-animated-explanation.gif": layers.animation,
    "transformer-animated-explanation.png": layers.still,
    "jalammarBERT-language-modeling-masked-lm.png": masked.masked_words,
    "cross-attention.png": decoder.cross_attention,
    "key-value-cache.png": decoder.cache,
    "cost-of-training.png": charts.cost_of_training,
}


def pixels(figure: Figure) -> Image.Image:
    agg = FigureCanvasAgg(figure)
    agg.draw()
    return Image.fromarray(np.asarray(agg.buffer_rgba())).convert("RGB")


def draw(name: str, folder: Path) -> None:
    """Draw the picture of this name and write it into `folder`: the same bytes on every run."""
    with style.context(STYLE, after_reset=True):
        picture = PICTURES[name]()
        frames = [pixels(figure) for figure in ([picture] if isinstance(picture, Figure) else picture)]
    few = Image.fromarray(np.concatenate(frames[::8])).quantize(128, Image.Quantize.MAXCOVERAGE)
    if len(frames) == 1:
        few.save(folder / name, optimize=True)
        return
    first, *others = [frame.quantize(palette=few, dither=Image.Dither.NONE) for frame in frames]
    first.save(folder / name, save_all=True, append_images=others, duration=125, loop=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    names = parser.parse_args().names or PICTURES
    if unknown := set(names) - set(PICTURES):
        parser.error(f"there is no picture {', '.join(unknown)}; expected one of {', '.join(PICTURES)}")
    torch.set_num_threads(2)  # the order of sums, and with it the trained translator, depends on their number
    transformers.logging.set_verbosity_error()
    for name in names:
        draw(name, Path(__file__).resolve().parent)
        print(name)


if __name__ == "__main__":
    main()

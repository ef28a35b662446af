"""The picture of the masked word."""

from math import log

import transformers
from matplotlib.figure import Figure

from bert.masked_lm import load_masked_lm
from course.notebooks import ROOT
from sheet import BLUE, GREY, VERMILLION, arrow, box, canvas, label, tint, word

TRUE = "medal"  # the word that [MASK] hides


def masked_words() -> Figure:
    """Masked-word prediction (Devlin et al., 2019): what the model reads, what it must guess; guesses of bert/mlm."""
    tokenizer = transformers.BertTokenizer.from_pretrained(ROOT / "bert")
    model = load_masked_lm(ROOT / "bert").double()
    sentence = "she won the gold [MASK] today"
    guesses = transformers.pipeline("fill-mask", model, tokenizer=tokenizer, device="cpu", top_k=4)(sentence)
    figure, sheet = canvas(10)
    for number, text in enumerate(["[CLS]", *sentence.split(), "[SEP]"]):
        x = 1.6 + 1.85 * number
        color, strength = (VERMILLION, 1) if text == "[MASK]" else (BLUE, 0.35)
        pale = tint(color, strength)
        word(sheet, x, 0.8, text, color)
        arrow(sheet, (x, 1.15), (x, 2.2), color)
        arrow(sheet, (x, 4.0), (x, 4.75), pale)
        box(sheet, x, 5.1, 1.2, 0.6, linewidth=2, facecolor=tint(color, 0.3 * strength), edgecolor=pale)
        if text == "[MASK]":
            label(sheet, x, 0.05, f"true word: {TRUE}", color=VERMILLION, weight="bold")
            arrow(sheet, (x, 5.45), (x, 6.3), VERMILLION, 4)
    box(sheet, 8.1, 3.1, 14.6, 1.8, facecolor=tint(BLUE, 0.12), edgecolor=BLUE, linewidth=2)
    label(sheet, 8.1, 3.1, "encoder: every word looks at all words, left and right", weight="bold")
    sheet.text(1.0, 5.75, "no loss at the other places", color=GREY, va="bottom")
    box(sheet, 11.3, 7.8, 7.2, 2.9, facecolor=tint(VERMILLION, 0.08), edgecolor=VERMILLION, linewidth=2)
    for number, guess in enumerate(guesses):
        y, width = 8.85 - 0.7 * number, 3.6 * guess["score"] / guesses[0]["score"]
        true = guess["token_str"] == TRUE
        label(sheet, 9.9, y, guess["token_str"], "right", weight="bold" if true else "normal")
        sheet.barh(y, width, left=10.1, height=0.45, color=tint(VERMILLION, 1 if true else 0.5))
        label(sheet, 10.25 + width, y, f"{guess['score']:.2f}", "left")
    label(sheet, 7.3, 8.5, "a probability for each\nword of the vocabulary", "right", linespacing=1.4)
    probability = next(guess["score"] for guess in guesses if guess["token_str"] == TRUE)
    look = {"color": VERMILLION, "weight": "bold", "linespacing": 1.4}
    label(
        sheet,
        7.3,
        7.1,
        f"loss: how improbable was “{TRUE}”?\n−ln {probability:.2f} = {-log(probability):.2f}",
        "right",
        **look,
    )
    sheet.set(xlim=(0, 16), ylim=(-0.6, 9.4))  # barh moved them
    return figure

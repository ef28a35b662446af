"""The checks of lesson 3: BERT on the news."""

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from course.exercises import answers
from course.exercises.answers import Mistake, compare, compare_number, exercise, place, random_int


@exercise("3.1")
def predict_batch(prediction) -> None:
    """Texts of 4, 7 and 20 word pieces in one batch, cut at 12"""
    shape, padding, mask_sum = answers.fields(prediction, "shape", "padding", "mask_sum")
    mistakes = {
        "no_shape": lambda shape: len(shape) != 2,
        "uncut": lambda shape: shape[1] in (20, 22),
        "marks_extra": lambda shape: shape[1] == 14,
        "longest": True,
    }
    answers.compare_shape(shape, (3, 12), mistakes)
    compare_number("padding", padding, 9, {"marks": 8 + 5, "lacks": True})
    compare_number("mask_sum", mask_sum, 6 + 9 + 12, {"polarity": 9, "cut_off": 6 + 9 + 22, "rest": True})


@exercise("3.2", trials=8)
def pad_keep_end(function, trial) -> None:
    """(input_ids, attention_mask) of texts that are cut from the left: the first piece, then the last ones"""
    limit, pad, cls, sep = random_int(4, 9), random_int(500, 599), random_int(200, 299), random_int(300, 399)
    counts = [limit - 3, 0] if trial % 2 else [limit + 3, limit - 2, 0]  # pieces between the marks: cut or not
    counts += [random_int(0, counts[0]) for _ in range(random_int(1, 4))]
    pieces = [[cls, *torch.randint(1000, 9000, (n,)).tolist(), sep] for n in counts]
    kept = [[cls, *ids[1:][1 - limit :]] for ids in pieces]
    rows, longest = len(kept), max(map(len, kept))

    def batch(rows, value=pad, side="right"):
        return pad_sequence([torch.tensor(row) for row in rows], True, value, side)

    def cut(keep):
        return batch([keep(ids) if len(ids) > limit else ids for ids in pieces])

    expected, is_piece = batch(kept), batch([[1] * len(row) for row in kept], 0)

    def first_row(input_ids) -> dict:
        row = place(input_ids != expected, "row", "column")["row"]
        ours = [i for i in input_ids[row].tolist() if i != pad]
        return {"row": row, "right": kept[row], "ours": ours, "kept": len(ours), "count": len(pieces[row])}

    def too_short(input_ids) -> bool:
        first = first_row(input_ids)
        return first["count"] > limit > first["kept"] > 2 and set(first["ours"]) <= set(pieces[first["row"]])

    result = answers.call(function, pieces, limit, pad)
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise Mistake("two_tensors")
    mistakes = {
        "swapped": lambda input_ids: input_ids.max() <= 1,
        "padded_left": batch(kept, side="left"),
        "from_right": cut(lambda ids: ids[:limit]),
        "before_sep": cut(lambda ids: [*ids[: limit - 1], sep]),
        "cls_lost": cut(lambda ids: ids[-limit:]),
        "too_short": too_short,
        "sep_lost": cut(lambda ids: [cls, *ids[-limit:-1]]),
        "hard_coded": lambda input_ids: (input_ids[:, 0] != cls).all() and {"ours": input_ids[0, 0].item()},
        "cls_twice": batch([[cls, *ids[1 - limit :]] for ids in pieces]),
        "sep_twice": cut(lambda ids: [cls, *ids[2 - limit :], sep]),
        "pieces": lambda input_ids: (input_ids != expected)[is_piece == 1].any(),
        "pad_index": lambda input_ids: place(input_ids != expected, "row", "column", ours=input_ids),
    }
    shapes = {"always_full": (rows, limit), "off_by": [(rows, limit + off) for off in (-2, -1, 1, 2)]}
    told = {"limit": limit, "longest": longest, "pad": pad, "cls": cls}
    compare(result[0], expected, mistakes, describe=first_row, name="input_ids", shapes=shapes, **told)

    counts = is_piece.sum(dim=1, keepdim=True).expand_as(is_piece)
    mistakes = {
        "looks_at_padding": 1 - is_piece,
        "mask": lambda mask: place(mask != is_piece, "row", "column", mask=mask, pieces=counts),
    }
    compare(result[1], is_piece, mistakes, name="attention_mask", longest=longest)


@exercise("3.3")
def pool_of_one(small_pool, because, shuffled) -> None:
    """The share of padding if each batch is sorted by itself (pool=1): that of shuffled batches"""
    mistakes = {
        "count": lambda share: share > 1,
        "pool_50": lambda share: share < 0.1,
        "of_text": lambda share: abs(share - shuffled / (1 - shuffled)) < 0.02,
    }
    compare_number("small_pool", small_pool, shuffled, mistakes, tolerance=0.04)
    answers.compare_choice(because, "a")


@exercise("3.4", trials=8)
def accuracy_of(function, trial) -> None:
    """The share of right rows over batches of any size; as planted, the mean of the batches' shares"""
    full = random_int(41, 97)
    sizes = [full] * random_int(2, 4) + [random_int(full // 2 + 1, full - 1)]
    last, count = sizes[-1], sum(sizes)
    batches = [(torch.randn(texts, 4), torch.randint(0, 4, (texts,))) for texts in sizes]
    batches[trial % 2][1][:] = (batches[trial % 2][0].argmax(dim=1) + 1) % 4  # all wrong: never the last batch
    batches[-1][1][:] = batches[-1][0].argmax(dim=1)  # the last, smaller batch is all right

    def hits(shift=0) -> list[int]:
        """How many texts of each batch would be right if `shift` were added to the labels."""
        return [(scores.argmax(dim=1) == labels + shift).sum().item() for scores, labels in batches]

    right = sum(hits())
    mistakes = {
        "open_bug": np.divide(hits(), sizes).mean(),
        "labels": [sum(hits(-1)) / count, np.divide(hits(-1), sizes).mean()],
        "shares_by_texts": np.divide(hits(), sizes).sum() / count,
        "last_size": right / (len(sizes) * last),
        "number": right,
        "percent": lambda number: abs(number - 100 * right / count) < 0.05,
        "full_batches": right / (len(sizes) * full),
        "last_lost": sum(hits()[:-1]) / (count - last),
        "batches": right / len(sizes),
        "mistakes": 1 - right / count,
    }
    told = {"sizes": ", ".join(map(str, sizes)), "count": count, "hits": right, "full": full, "last": last}
    share = answers.call(function, batches)
    compare_number("accuracy", share, right / count, mistakes, tolerance=6e-4, **told)  # rounding is no mistake


@exercise("3.5", trials=16)
def piece_labels(function, trial) -> None:
    """The label of its word at the first piece of each word, -100 everywhere else"""
    labels = torch.randint(0, 4, (random_int(3, 6),)).tolist()
    labels[1] = labels[0] if trial % 2 else (labels[0] + 1) % 4  # neighbours with the same label
    counts = [2, *(random_int(1, 3) for _ in labels[1:])]  # pieces of each word
    word_ids = [None, *(word for word, count in enumerate(counts) for _ in range(count)), None]
    if trial >= 8:
        word_ids += [None] * random_int(1, 3)  # padding

    def where_it_changes(others) -> list[int]:
        pairs = zip(word_ids, others, strict=True)
        return [-100 if word is None or word == other else labels[word] for word, other in pairs]

    expected = where_it_changes([None, *word_ids[:-1]])
    ours = answers.call(function, labels, word_ids)
    if torch.is_tensor(ours):
        ours = answers.as_tensor(ours, torch.tensor(expected)).tolist()
    if not isinstance(ours, (list, tuple)):
        raise Mistake("no_list", type=type(ours).__name__)
    if len(ours) != len(expected):
        raise Mistake("count", wanted=len(expected), came=len(ours))
    if list(ours) == expected:
        return
    wrong = next(i for i, label in enumerate(expected) if ours[i] != label)
    word, label, right = word_ids[wrong], ours[wrong], expected[wrong]
    mistakes = {
        "last_piece": lambda ours: list(ours) == where_it_changes([*word_ids[1:], None]),
        "marks": word is None,
        "every_piece": lambda _: right == -100 and label == labels[word],
        "word_0": lambda _: label == -100 and word == 0,
        "same_label": lambda _: label == -100 and labels[word] == labels[word - 1],
    }
    answers.explain(ours, mistakes, {"place": wrong, "word": word, "label": label, "right": right})


def cut_word(word: str, vocabulary: set[str], longest_first: bool = True, mark: str = "##") -> list[str]:
    """Pieces from left to right; [] where none fits. `mark` stands in front of those that go on inside the word."""
    pieces, start = [], 0
    while start < len(word):
        ends = range(start + 1, len(word) + 1)
        fitting = [end for end in ends if mark * (start > 0) + word[start:end] in vocabulary]
        if not fitting:
            return []
        end = fitting[-1 if longest_first else 0]
        pieces.append(mark * (start > 0) + word[start:end])
        start = end
    return pieces


@exercise("3.6", trials=8)
def word_pieces(function, trial) -> None:
    """The longest pieces from left to right, and ["[UNK]"] for a word with a place where none fits"""
    a, b, c, d, e, f, g, x = (chr(ord("a") + i) for i in torch.randperm(26)[:8].tolist())
    inside = {b, c, d, e, f, g, c + d, e + f, d + e + f + g, a + b + c, b + x}
    vocabulary = {a, a + b, c + d + e + f + g} | {"##" + piece for piece in inside}
    # abcdefg is cut into ab cd ef g; abxg comes to a dead end behind ab, though a bx g would spell it
    word = a + b + x + g * random_int(1, 3) if trial % 2 else a + b + c + d + e + f + g
    expected = cut_word(word, vocabulary) or ["[UNK]"]
    ours = answers.call(function, word, set(vocabulary))
    if not isinstance(ours, (list, tuple)) or not all(isinstance(piece, str) for piece in ours):
        raise Mistake("no_list", type=type(ours).__name__)
    if list(ours) == expected:
        return
    ours, bare = list(ours), [piece.removeprefix("##") for piece in ours]
    spelt = "".join(bare)
    mistakes = {
        "unk_inside": "[UNK]" in bare and len(ours) > 1,
        "rest_lost": word.startswith(spelt) and spelt != word,
        "no_marks": ours == [piece.removeprefix("##") for piece in expected],
        "ignores_marks": bare == cut_word(word, vocabulary, mark=""),
        "marks_first": lambda ours: ours != [] and ours[0].startswith("##"),
        "shortest": ours == cut_word(word, vocabulary, longest_first=False),
        "from_end": ours == [a + b, "##" + c, "##" + d + e + f + g],
        "goes_back": expected == ["[UNK]"] and spelt == word,
        "unk_too_soon": ours == ["[UNK]"],
    }
    answers.explain(ours, mistakes, {"word": word, "ours": ours, "right": expected, "taken": a + b})

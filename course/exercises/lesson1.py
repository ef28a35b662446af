"""The checks of lesson 1: attention."""

import math

import torch

from course.exercises import answers
from course.exercises.answers import Mistake, compare, exercise, place, random_int, same


@exercise("1.1")
def predict_weights(prediction) -> None:
    """Four equal scores, the result for the values 0, 4, 8, 12, and what adding 100 to all scores does."""
    weight, result, shifted = answers.fields(prediction, "weight", "result", "shifted")
    mistakes = {"score": 7, "no_weight": lambda number: not 0 <= number <= 1, "hard": [0, 1], "equal": True}
    answers.compare_number("weight", weight, 1 / 4, mistakes, tolerance=0.006)

    mistakes = {"sum": 24, "single": [0, 4, 8, 12], "average": True}
    answers.compare_number("result", result, 6, mistakes, tolerance=0.006)

    mistakes = {
        "no_weight": lambda number: not 0 <= number <= 1,
        "larger": lambda number: number > 0.9,
        "ratio": lambda number: abs(number - 1 / 3) < 0.02,
        "factor": True,
    }
    expected = torch.tensor([3.0, 2.0, 1.0]).softmax(dim=0)[0].item()
    answers.compare_number("shifted", shifted, expected, mistakes, tolerance=0.04)


@exercise("1.2", trials=8)
def bilinear_scores(function, trial) -> None:
    """score of key i = query · W · key i (Luong et al., 2015, section 3.1, "general")"""
    batch, source = 1 if trial == 1 else random_int(2, 4), 1 if trial == 2 else random_int(2, 6)
    query_size = random_int(2, 6)
    key_size = query_size if trial == 0 else random_int(7, 11)
    query, keys = torch.randn(batch, query_size), torch.randn(batch, source, key_size)
    W = torch.randn(query_size, key_size)
    expected = torch.einsum("bq,qk,bsk->bs", query, W, keys)

    def wrong_place(scores):
        return place((scores - expected).abs() > 1e-4, "text", "key", ours=scores, right=expected)

    mistakes = {"weights": expected.softmax(dim=1), "scaled": [expected / query_size**0.5, expected / key_size**0.5]}
    if query_size == key_size:  # otherwise these stop with an error
        mistakes["without_w"] = torch.einsum("bq,bsq->bs", query, keys)
        mistakes["transposed"] = torch.einsum("bq,kq,bsk->bs", query, W, keys)
    shapes = {"all_pairs": (batch, batch, source), "squeezed": tuple(n for n in (batch, source) if n > 1)}
    compare(answers.call(function, query, keys, W), expected, mistakes, shapes=shapes, describe=wrong_place)


@exercise("1.3", trials=13)
def window_mask(function, trial) -> None:
    """(tokens, tokens), True where 0 <= row - column < window"""
    telling = [(7, 3), (1, 1), (5, 1), (4, 4), (2, 5)]
    tokens, window = telling[trial] if trial < len(telling) else (random_int(1, 12), random_int(1, 9))
    steps = torch.arange(tokens).unsqueeze(1) - torch.arange(tokens)  # from the row back to the column
    past, future = steps >= 0, steps < 0
    expected = past & (steps < window)

    def first(wrong):
        return place(wrong, "row", "column", steps=steps)

    mistakes = {
        "inverted": lambda mask: mask[future].all() and not mask.diagonal().any(),
        "transposed": expected.T,
        "wraps": expected | (future & (steps + tokens < window)),
        "future": lambda mask: first(mask & future),
        "not_itself": lambda mask: first(~mask & (steps == 0)),
        "one_too_many": past & (steps <= window),
        "one_too_few": past & (steps < window - 1),
        "too_far": lambda mask: first(mask & ~expected),
        "too_near": True,
    }
    mask = answers.call(function, tokens, window)
    compare(mask, expected, mistakes, describe=lambda mask: first(mask ^ expected), window=window, before=window - 1)


@exercise("1.4", trials=8)
def padded_attention(function, trial) -> None:
    """Scaled dot-product attention that leaves the padding out; as planted, the scores of padding become 0."""
    kind = {4: "low scores", 5: "no padding", 6: "zero scores"}.get(trial, "plain")
    # at first all sizes differ, so that a mask of a wrong shape stops with an error
    batch, targets, sources = (2, 3, random_int(4, 7)) if trial < 4 else [random_int(low, 7) for low in (1, 1, 3)]
    size = random_int(2, 9)
    query, key = torch.randn(batch, targets, size), torch.randn(batch, sources, size)
    real = torch.arange(sources) < torch.randint(1, sources, (batch, 1))  # at least one word, one of padding
    if kind == "low scores":  # all around -200: then a padding with -100 would take all
        query[..., 0], key[..., 0] = 10, -20 * size**0.5
    elif kind == "no padding":
        real = torch.ones_like(real)
    elif kind == "zero scores":  # of real words too
        query.zero_()
    # values that show the weights: the result begins with them, and ends with the look-up of random values
    value = torch.cat([torch.eye(sources).repeat(batch, 1, 1), torch.randn(batch, sources, random_int(1, 3))], dim=2)
    scores, padding = query @ key.transpose(1, 2) / size**0.5, ~real.unsqueeze(1)

    def looked_up(scores):
        return scores.softmax(dim=2) @ value

    def leak(result):
        return (result[..., :sources] * padding).sum(dim=2).max().item()

    def wrong_sum(result):
        sums = result[..., :sources].sum(dim=2)
        return place((sums - 1).abs() > 1e-3, "text", "row", sum=sums)

    mistakes = {
        "low_scores": lambda result: kind == "low scores" and leak(result) > 1e-6,
        "zero_score": lambda result: kind == "zero scores" and result.isnan().any(),
        "open_bug": looked_up(scores * ~padding),
        "inverted": lambda result: (result[..., :sources] * ~padding).abs().max() < 1e-6,
        "sums": wrong_sum,
        "no_effect": looked_up(scores),
        "leak": lambda result: leak(result) > 1e-6,
        "unscaled": looked_up((scores * size**0.5).masked_fill(padding, -math.inf)),
    }
    expected = looked_up(scores.masked_fill(padding, -math.inf))
    result = answers.call(function, query, key, value, real)
    compare(result, expected, mistakes, allow_nan=kind == "zero scores", describe=lambda result: {"leak": leak(result)})


@exercise("1.5")
def divide_by_d(measured, because) -> None:
    """The entropy of the weights when scores of size 1024 are divided by d, not by its root"""
    size = 1024
    scores = torch.randn(500, size) @ torch.randn(size, 32)

    def bits(divisor):
        weights = (scores / divisor).softmax(dim=-1)
        return -(weights * weights.clamp_min(1e-12).log2()).sum(dim=-1).mean().item()

    mistakes = {
        "root": lambda number: abs(number - bits(size**0.5)) < 0.15,
        "entropy_divided": lambda number: number < 0.01,
        "undivided": lambda number: number < 2,
    }
    number = answers.as_number("measured", measured)
    if number == round(number, 5):  # what is measured has more digits than anybody types
        raise Mistake("typed", value=number)
    answers.compare_number("measured", number, bits(size), mistakes, tolerance=3e-4)
    answers.compare_choice(because, "b")


@exercise("1.6", trials=24)
def attention_in_parts(function, trial) -> None:
    """softmax(keys · query / √d) · values, though keys and values come part by part (Milakov, Gimelshein, 2018)"""
    kind = ("falling", "rising", "large")[trial // 8]  # how the scores come; no exp bears the large ones
    size, value_size = random_int(2, 9), random_int(2, 5)
    lengths = [random_int(3, 6) for _ in range(random_int(2, 4))] if trial else [4]
    query, values = torch.randn(size), torch.randn(sum(lengths), value_size)
    keys = torch.randn(sum(lengths), size) * (600 if kind == "large" else 1)
    if kind != "large":  # where scores rise, every part brings a new maximum
        keys = keys[(keys @ query).argsort(descending=kind == "falling")]
    scores = keys @ query / size**0.5
    expected = scores.softmax(dim=0) @ values
    parts = list(zip(keys.split(lengths), values.split(lengths), strict=True))

    each = torch.stack([(k @ query / size**0.5).softmax(dim=0) @ v for k, v in parts])  # (parts, value size)
    # exp(score - maximum), where each part has a maximum of its own
    terms = torch.cat([(part - part.max()).exp() for part in scores.split(lengths)])
    mistakes = {
        "overflow" if kind == "large" else "start": lambda result: not result.isfinite().all(),
        "softmax_each": [each.mean(dim=0), each.sum(dim=0)],
        "first_part": each[0],
        "last_part": each[-1],
        "unscaled": [(scores * factor).softmax(dim=0) @ values for factor in (size**0.5, size**-0.5)],
        "unnormed": [(scores - scores.max()).exp() @ values, scores.exp() @ values],
        "new_maximum": kind == "rising",
        "own_maximum": terms @ values / terms.sum(),
    }
    try:
        result = answers.call(function, query, one_by_one(parts))
        compare(result, expected, mistakes, allow_nan=True, score=scores[scores.abs().argmax()].item())
    except Mistake as mistake:
        no_result = mistake.hint in ("stops", "start", "overflow")
        if no_result and same(answers.call(function, query, list(parts)), expected):
            raise Mistake("all_at_once") from None
        raise


def one_by_one(parts):
    """Pairs of tensors to be gone through once; a pair is gone when the next one comes."""
    for part in parts:
        pair = [tensor.clone() for tensor in part]
        yield pair
        for tensor in pair:
            tensor.fill_(math.nan)

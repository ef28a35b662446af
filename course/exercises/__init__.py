"""Exercises that check themselves: each check says in one line whether an answer is right, or what is wrong with it.

    from course.exercises import check, progress
    check("1.3", window_mask)    # ✗ 1.3 not yet: row 2 may look at position 3: that is the future
    progress(1)                  # lesson 1: 4 of 6 exercises solved: ✓ 1.1 ...

A check calls the student's function with random inputs of random sizes and compares properties of the result; it never
raises because of an answer. The random numbers of the notebook are left as they were.

To add an exercise, write one function below, mark it with `@exercise("number")`, and put its hints into
`exercises.toml`, in English and in Korean. The function takes the answer and calls `refuse(condition, "name of hint",
values of the hint)` for each mistake that students make; if it comes to its end, the answer is right. A hint whose name
begins with "open" tells that something is still to be filled in, or that a planted bug is still there.
"""

from __future__ import annotations

import copy
import inspect
import math
import tomllib
import traceback
from collections.abc import Callable, Iterator, Sequence
from numbers import Real
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, layer_norm, one_hot

__all__ = ["check", "progress"]

# The language of the hints: that of the notebook's folder, notebooks/ko or notebooks/ko/solutions.
LANGUAGE = "ko" if "ko" in Path.cwd().parts[-2:] else "en"
HINTS = tomllib.loads(Path(__file__).with_name("hints.toml").read_text(encoding="utf-8"))
EXERCISES: dict[str, Callable] = {}
TRIALS = 8  # random inputs for each function
_marks: dict[str, str] = {}  # of the exercises checked since the notebook was started


class Wrong(Exception):
    """What is wrong with an answer: the name of a hint, and its values; no name where nothing is filled in yet."""

    def __init__(self, hint: str, **values):
        super().__init__(hint)
        self.hint, self.values = hint, values


def exercise(number: str) -> Callable:
    """Mark the function that checks exercise `number`, such as "1.3": lesson 1, third exercise."""

    def register(function):
        EXERCISES[number] = function
        return function

    return register


def check(number: str, *answers) -> None:
    """Print one line: whether exercise `number` is solved, still open, or what is wrong.

    Args:
        number: of the exercise, such as "1.3".
        answers: what the exercise asks for: a function, a dictionary of predictions, a number and a letter.

    Raises:
        ValueError: there is no such exercise.
    """
    mark, hint = verdict(number, *answers)
    _marks[number] = mark
    said = HINTS["marks"][mark][LANGUAGE].format(number=number)
    print(f"{said}: {hint}" if hint else said)


def progress(lesson: int) -> None:
    """Print which exercises of a lesson are solved; what has not been checked in this session counts as open."""
    marks = {number: _marks.get(number, "open") for number in EXERCISES if number.startswith(f"{lesson}.")}
    each = "  ".join(HINTS["marks"][mark]["sign"] + " " + number for number, mark in marks.items())
    line = HINTS["marks"]["progress"][LANGUAGE]
    print(line.format(lesson=lesson, solved=list(marks.values()).count("solved"), all=len(marks), each=each))


def verdict(number: str, *answers, seed: int = 0) -> tuple[str, str]:
    """The mark of an answer, "solved", "open" or "wrong", and the hint in the language of the notebook.

    The hidden inputs are drawn from `seed`, so that the same answer gets the same hint again.
    """
    mark, hint, values = _examine(number, answers, seed)
    return mark, (HINTS[number].get(hint) or HINTS["any"][hint])[LANGUAGE].format(**values) if hint else ""


def _examine(number: str, answers: tuple, seed: int) -> tuple[str, str, dict]:
    """The mark, the name of the hint ("" for none) and its values."""
    if number not in EXERCISES:
        raise ValueError(f"there is no exercise {number!r}; there are {', '.join(EXERCISES)}")
    function = EXERCISES[number]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            _refuse_gaps(dict(zip(inspect.signature(function).parameters, answers, strict=True)))
            function(*answers)
        except Wrong as wrong:
            is_open = not wrong.hint or wrong.hint.startswith("open")
            return "open" if is_open else "wrong", wrong.hint, wrong.values
        except Exception as error:  # an answer of a kind that the check did not think of
            return "wrong", "cannot_compare", {"reason": _first_line(error)}
    return "solved", "", {}


# --- looking at answers ---------------------------------------------------------------------------------------------


def refuse(condition, hint: str, **values) -> None:
    """Raise Wrong with the hint of this name if a condition holds."""
    if condition:
        raise Wrong(hint, **values)


def _refuse_gaps(answers: dict) -> None:
    """Raise Wrong if `...` still stands in an answer; where the others are there, the hint names it."""
    named = {}
    for name, answer in answers.items():
        named |= answer if isinstance(answer, dict) else {name: answer}
    missing = [str(name) for name, answer in named.items() if _has_gap(answer)]
    refuse(missing and len(missing) == len(named), "")
    refuse(missing, "open_gaps", names=", ".join(missing))


def _has_gap(answer) -> bool:
    return answer is ... or (isinstance(answer, (list, tuple)) and any(map(_has_gap, answer)))


def _same(value, old) -> bool:
    if isinstance(old, Tensor):
        return torch.equal(value, old)
    if isinstance(old, (list, tuple)):
        return len(value) == len(old) and all(map(_same, value, old))
    return value == old


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:160]


def _short(value) -> str:
    return " ".join(repr(value).split())[:40]


def call(function, *inputs):
    """The result of the student's function for `inputs`.

    Raises:
        Wrong: it is no function, still returns `...` or nothing, stops with an error, or changes its inputs.
    """
    refuse(not callable(function), "no_function", type=type(function).__name__)
    before = [copy.deepcopy(value) if isinstance(value, (Tensor, list)) else None for value in inputs]
    try:
        with torch.random.fork_rng(devices=[]):  # a seed set in the function must not repeat the hidden inputs
            result = function(*inputs)
    except (Exception, SystemExit) as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
        own = [frame.line for frame in frames if frame.filename == frames[0].filename and frame.line]
        raise Wrong("stops", line=f" (`{own[-1]}`)" if own else "", reason=_first_line(error)) from None
    refuse(_has_gap(result), "")
    refuse(result is None, "no_return")
    for value, old in zip(inputs, before, strict=True):
        refuse(old is not None and not _same(value, old), "changes_input")
    return result


def as_tensor(result, shape: Sequence[int], kind: str = "float", name: str = "", nan: bool = False) -> Tensor:
    """`result`, if it is a tensor of this shape on the CPU, of the kind "float", "bool" or "int".

    Args:
        name: of the result, where there are several.
        nan: whether nan is let through.

    Raises:
        Wrong: with what came and what was wanted.
    """
    name, shape = f"`{name}`: " if name else "", tuple(shape)
    refuse(not torch.is_tensor(result), "no_tensor", name=name, shape=shape, type=type(result).__name__)
    refuse(result.device.type != "cpu", "device", name=name, device=result.device)
    refuse(tuple(result.shape) != shape, "shape", name=name, came=tuple(result.shape), shape=shape)
    is_float, is_bool = result.is_floating_point(), result.dtype == torch.bool
    kinds = {"float": is_float, "bool": is_bool, "int": not (is_float or is_bool or result.is_complex())}
    refuse(not kinds[kind], "kind", name=name, kind=kind, came=str(result.dtype).removeprefix("torch."))
    if result.isnan().any() and not nan:
        place = ", ".join(map(str, first(result.isnan())))
        raise Wrong("nan", name=name, place=f"[{place}]")
    return result


def as_number(value, name: str) -> float:
    """`value` as a number, of Python, numpy or a tensor with one element.

    Raises:
        Wrong: it is none, or not finite; with the name of the answer.
    """
    plain = value.item() if hasattr(value, "item") and _is_single(value) else value
    is_number = isinstance(plain, Real) and not isinstance(plain, bool) and math.isfinite(plain)
    refuse(not is_number, "no_number", name=name, value=_short(value))
    return float(plain)


def _is_single(value) -> bool:
    return value.numel() == 1 if isinstance(value, Tensor) else getattr(value, "size", 0) == 1


def fields(answer, *names: str) -> None:
    """Raise Wrong unless `answer` is a dictionary with these names."""
    refuse(not isinstance(answer, dict) or set(answer) != set(names), "no_fields", names=", ".join(names))


def choice(letter, right: str) -> None:
    """Raise Wrong unless `letter` is the right one of a, b, c, d; each of the others has a hint of its own."""
    given = letter.strip(" .()").lower() if isinstance(letter, str) else letter
    refuse(given not in ("a", "b", "c", "d"), "no_letter", value=_short(letter))
    refuse(given != right, f"because_{given}")


def close(ours: Tensor, theirs: Tensor) -> bool:
    return torch.allclose(ours.float(), theirs.float(), rtol=1e-3, atol=1e-4)


def draw(low: int, high: int) -> int:
    """A random whole number from low to high."""
    return int(torch.randint(low, high + 1, ()))


def first(condition: Tensor) -> list[int]:
    """The first place where a condition is True."""
    return condition.nonzero()[0].tolist()


# --- lesson 1 -------------------------------------------------------------------------------------------------------


@exercise("1.1")
def predict_weights(prediction) -> None:
    """Four equal scores, the result for the values 0, 4, 8, 12, and what adding 100 to all scores does."""
    fields(prediction, "weight", "result", "shifted")
    weights, values = torch.full((4,), 7.0).softmax(dim=0), torch.tensor([0.0, 4.0, 8.0, 12.0])
    weight = as_number(prediction["weight"], "weight")
    refuse(weight == 7, "score")
    refuse(not 0 <= weight <= 1, "no_weight", name="weight")
    refuse(weight in (0, 1), "hard")
    refuse(not math.isclose(weight, weights[0], abs_tol=0.006), "equal")

    result = as_number(prediction["result"], "result")
    if not math.isclose(result, weights @ values, abs_tol=0.006):
        refuse(result == values.sum(), "sum")
        refuse(result in values.tolist(), "single")
        raise Wrong("average")

    shifted = as_number(prediction["shifted"], "shifted")
    refuse(not 0 <= shifted <= 1, "no_weight", name="shifted")
    refuse(shifted > 0.9, "larger")
    refuse(math.isclose(shifted, 1 / 3, abs_tol=0.02), "ratio")
    expected = (torch.tensor([3.0, 2.0, 1.0]) + 100).softmax(dim=0)[0]
    refuse(not math.isclose(shifted, expected, abs_tol=0.04), "factor")


@exercise("1.2")
def bilinear_scores(function) -> None:
    """score of key i = query · W · key i (Luong et al., 2015, section 3.1, "general")"""
    for trial in range(TRIALS):
        batch, source = 1 if trial == 1 else draw(2, 4), 1 if trial == 2 else draw(2, 6)
        query_size = draw(2, 6)
        key_size = query_size if trial == 0 else draw(7, 11)  # a square W first: there a hint can say more
        query, keys = torch.randn(batch, query_size), torch.randn(batch, source, key_size)
        W = torch.randn(query_size, key_size)
        scores = call(function, query, keys, W)
        shape = tuple(scores.shape) if torch.is_tensor(scores) else ()
        refuse(shape == (batch, batch, source), "all_pairs", shape=shape, wanted=(batch, source))
        lost = 1 in (batch, source) and shape == tuple(n for n in (batch, source) if n > 1)
        refuse(lost, "squeezed", shape=shape, wanted=(batch, source))
        as_tensor(scores, (batch, source))
        expected = torch.einsum("bq,qk,bsk->bs", query, W, keys)
        if close(scores, expected):
            continue
        refuse(close(scores, expected.softmax(dim=1)), "weights")
        if key_size == query_size:
            refuse(close(scores, torch.einsum("bq,bsq->bs", query, keys)), "without_w")
            refuse(close(scores, torch.einsum("bq,kq,bsk->bs", query, W, keys)), "transposed")
        refuse(any(close(scores, expected / size**0.5) for size in (query_size, key_size)), "scaled")
        text, key = first((scores - expected).abs() > 1e-4)
        raise Wrong("other", text=text, key=key, ours=scores[text, key].item(), right=expected[text, key].item())


@exercise("1.3")
def window_mask(function) -> None:
    """(tokens, tokens), True where 0 <= row - column < window"""
    for tokens, window in [(7, 3), (1, 1), (5, 1), (4, 4), (2, 5)] + [(draw(1, 12), draw(1, 9)) for _ in range(TRIALS)]:
        mask = as_tensor(call(function, tokens, window), (tokens, tokens), "bool")
        steps = torch.arange(tokens).unsqueeze(1) - torch.arange(tokens)  # from the row back to the column
        expected = (steps >= 0) & (steps < window)
        if torch.equal(mask, expected):
            continue
        hides = tokens > 1 and not mask.diagonal().any() and mask[steps < 0].all()
        refuse(hides or torch.equal(mask, ~expected), "inverted")
        refuse(torch.equal(mask, expected.T), "transposed")
        ahead = mask & (steps < 0)
        refuse(ahead.any() and not (ahead & (steps + tokens >= window)).any(), "wraps", **_place(ahead))
        if ahead.any():
            raise Wrong("future", **_place(ahead))
        if not mask.diagonal().all():
            raise Wrong("not_itself", row=first(~mask.diagonal())[0])
        row, column = first(mask ^ expected)
        values = dict(row=row, column=column, steps=steps[row, column].item(), window=window, before=window - 1)
        refuse(torch.equal(mask, (steps >= 0) & (steps <= window)), "one_too_many", **values)
        refuse(torch.equal(mask, (steps >= 0) & (steps < window - 1)), "one_too_few", **values)
        refuse(mask[row, column], "too_far", **values)
        raise Wrong("too_near", **values)


def _place(condition: Tensor) -> dict:
    """Row and column of the first place where a matrix is True, if there is one."""
    return dict(zip(("row", "column"), first(condition), strict=True)) if condition.any() else {}


@exercise("1.4")
def padded_attention(function) -> None:
    """Scaled dot-product attention that leaves the padding out; as planted, the scores of padding become 0."""
    for trial in range(TRIALS):
        # at first all sizes differ, so that a mask of a wrong shape stops with an error
        batch, targets, sources = (2, 3, draw(4, 7)) if trial < 4 else (draw(1, 3), draw(1, 4), draw(3, 7))
        size, value_size = draw(2, 9), sources + draw(1, 3)
        query, key = torch.randn(batch, targets, size), torch.randn(batch, sources, size)
        if low := trial == 4:  # all scores around -200: then a padding with -100 would take all
            query[..., 0], key[..., 0] = 10, -20 * size**0.5
        real = torch.arange(sources) < torch.randint(1, sources, (batch, 1))  # at least one word, one of padding
        if trial == 5:
            real = torch.ones(batch, sources, dtype=torch.bool)  # no padding at all
        if trial == 6:
            query.zero_()  # the scores of real words are 0 too
        scores, padding = query @ key.transpose(1, 2) / size**0.5, ~real.unsqueeze(1)
        expected = scores.masked_fill(padding, -math.inf).softmax(dim=2)  # (batch, targets, sources)
        value = torch.randn(batch, sources, value_size)
        result = as_tensor(call(function, query, key, value, real), (batch, targets, value_size), nan=trial == 6)
        refuse(result.isnan().any(), "zero_score")
        if close(result, expected @ value):
            continue
        value = torch.eye(sources).repeat(batch, 1, 1)  # so that the result shows the weights
        weights = as_tensor(call(function, query, key, value, real), expected.shape)
        leak = (weights * padding).sum(dim=2).max().item()
        refuse(not low and close(weights, (scores * ~padding).softmax(dim=2)), "open_bug", leak=leak)
        refuse(not low and (weights * ~padding).abs().max() < 1e-6, "inverted")
        sums = weights.sum(dim=2)
        if not close(sums, torch.ones_like(sums)):
            text, row = first((sums - 1).abs() > 1e-4)
            raise Wrong("sums", text=text, row=row, sum=sums[text, row].item())
        refuse(close(weights, scores.softmax(dim=2)), "no_effect")
        refuse(leak > 1e-6, "low_scores" if low else "leak", leak=leak)
        refuse(close(weights, (scores * size**0.5).masked_fill(padding, -math.inf).softmax(dim=2)), "unscaled")
        raise Wrong("other")


@exercise("1.5")
def divide_by_d(measured, because) -> None:
    """The entropy of the weights when scores of size 1024 are divided by d, not by its root"""

    def bits(scores):
        weights = scores.softmax(dim=-1)
        return -(weights * weights.clamp_min(1e-12).log2()).sum(dim=-1).mean().item()

    size = 1024
    scores = torch.randn(500, size) @ torch.randn(size, 32)
    measured = as_number(measured, "measured")
    if not math.isclose(measured, bits(scores / size), abs_tol=0.02):
        refuse(math.isclose(measured, bits(scores / size**0.5), abs_tol=0.15), "root")
        refuse(measured < 0.01, "entropy_divided")
        refuse(measured < 2, "undivided")
        raise Wrong("other")
    choice(because, "b")


@exercise("1.6")
def attention_in_parts(function) -> None:
    """softmax(keys · query / √d) · values, though keys and values come part by part (Milakov, Gimelshein, 2018)"""
    for trial in range(3 * TRIALS):
        kind = ("falling", "rising", "large")[trial // TRIALS]  # how the scores come; no exp bears the large ones
        size, value_size = draw(2, 9), draw(2, 5)
        lengths = [draw(3, 6) for _ in range(draw(2, 4))] if trial else [4]
        query, values = torch.randn(size), torch.randn(sum(lengths), value_size)
        keys = torch.randn(sum(lengths), size) * (600 if kind == "large" else 1)
        if kind != "large":  # where scores rise, every part brings a new maximum
            keys = keys[(keys @ query).argsort(descending=kind == "falling")]
        scores = keys @ query / size**0.5
        expected = scores.softmax(dim=0) @ values
        parts = list(zip(keys.split(lengths), values.split(lengths), strict=True))
        try:
            result = as_tensor(call(function, query, _one_by_one(parts)), (value_size,), nan=True)
        except Wrong as wrong:
            at_once = wrong.hint == "stops" and close(torch.as_tensor(call(function, query, list(parts))), expected)
            raise Wrong("all_at_once") if at_once else wrong from None
        if close(result, expected):
            continue
        if not result.isfinite().all():
            refuse(close(call(function, query, list(parts)), expected), "all_at_once")
            refuse(kind == "large", "overflow", score=scores[scores.abs().argmax()].item())
            raise Wrong("start")
        own = [(k @ query / size**0.5, v) for k, v in parts]  # scores and values of each part
        each = torch.stack([part.softmax(dim=0) @ v for part, v in own])  # (parts, value size)
        if len(parts) > 1:
            refuse(close(result, each.mean(dim=0)) or close(result, each.sum(dim=0)), "softmax_each")
            refuse(close(result, each[0]), "first_part")
            refuse(close(result, each[-1]), "last_part")
        unequal = [((part - part.max()).exp(), v) for part, v in own]  # each from a maximum of its own
        total = sum(terms.sum() for terms, _ in unequal)
        own_maximum = close(result, sum(terms @ v for terms, v in unequal) / total)
        refuse(own_maximum and kind == "falling", "own_maximum")
        scaled = scores * size**0.5, scores / size**0.5
        refuse(any(close(result, wrong.softmax(dim=0) @ values) for wrong in scaled), "unscaled")
        sums = [(scores - scores.max()).exp() @ values, scores.exp() @ values]
        refuse(any(close(result, unnormed) for unnormed in sums), "unnormed")
        raise Wrong("new_maximum" if kind == "rising" else "other")


def _one_by_one(parts: list) -> Iterator:
    """Pairs of tensors to be gone through once; a pair is gone when the next one comes."""
    for part in parts:
        pair = [tensor.clone() for tensor in part]
        yield pair
        for tensor in pair:
            tensor.fill_(math.nan)


# --- lesson 2 -------------------------------------------------------------------------------------------------------


@exercise("2.1")
def predict_heads(prediction) -> None:
    """BERT-base with 24 heads in place of 12"""
    fields(prediction, "head_size", "weights_shape", "times_parameters")
    layers = {heads: nn.MultiheadAttention(768, heads, batch_first=True) for heads in (12, 24)}
    head_size = as_number(prediction["head_size"], "head_size")
    refuse(head_size == layers[12].head_dim, "twelve")
    refuse(head_size != layers[24].head_dim, "cut")

    x, shape = torch.randn(2, 10, 768), prediction["weights_shape"]
    expected = tuple(layers[24](x, x, x, average_attn_weights=False)[1].shape)
    refuse(not isinstance(shape, (tuple, list)), "no_shape", value=_short(shape))
    refuse(layers[24].head_dim in shape, "size_in_shape")
    refuse(12 in shape, "old_heads")
    refuse(tuple(shape) != expected and sorted(map(str, shape)) == sorted(map(str, expected)), "order")
    refuse(tuple(shape) != expected, "pairs", shape=tuple(shape))

    times = as_number(prediction["times_parameters"], "times_parameters")
    twelve, many = (sum(p.numel() for p in layer.parameters()) for layer in layers.values())
    refuse(times == 2, "twice")
    refuse(not math.isclose(times, many / twelve, abs_tol=1e-3), "matrices")


@exercise("2.2")
def pre_norm(function) -> None:
    """x + attention(norm1(x)), then the same with feed_forward and norm2 (Xiong et al., 2020, figure 1b)"""
    for _ in range(TRIALS):
        batch, tokens, size = draw(1, 3), draw(1, 5), draw(3, 8)
        x, gains = 3 * torch.randn(batch, tokens, size) + 1, torch.rand(2, size) + 0.5
        attention, feed_forward = nn.Linear(size, size).requires_grad_(False), nn.Tanh()
        norm1, norm2 = (lambda x, gain=gain: layer_norm(x, gain.shape, weight=gain) for gain in gains)

        def ours(attention=attention, feed_forward=feed_forward, x=x, norm1=norm1, norm2=norm2):
            return as_tensor(call(function, x, attention, feed_forward, norm1, norm2), x.shape)

        middle = x + attention(norm1(x))
        if close(ours(), middle + feed_forward(norm2(middle))):
            continue
        post = norm1(x + attention(x))
        refuse(close(ours(), norm2(post + feed_forward(post))), "post_norm")
        refuse(close(ours(), middle), "no_effect")
        refuse(close(ours(), x + feed_forward(norm2(middle))), "attention_lost")
        silent = torch.zeros_like
        refuse(not close(ours(silent, silent), x), "residual")
        first_half, second = ours(feed_forward=silent), ours(attention=silent)
        through_1 = close(second, x + feed_forward(norm1(x)))
        refuse(through_1 and close(first_half, x + attention(norm2(x))), "norms_swapped")
        refuse(through_1, "norm1_twice")
        behind = close(first_half, x + norm1(attention(x))) or close(second, x + norm2(feed_forward(x)))
        refuse(behind, "norm_behind")
        refuse(not close(second, x + feed_forward(norm2(x))), "second_half")
        refuse(close(first_half, x + attention(x)), "no_norm1")
        refuse(not close(first_half, middle), "first_half")
        raise Wrong("parallel")


@exercise("2.3")
def larger_vocabulary(millions, because) -> None:
    """The parameters of BERT-base with 119,547 pieces, and why they cost no multiplication"""
    from transformers import BertConfig, BertModel  # here, because it takes seconds to import

    with torch.device("meta"):
        small, large = (BertModel(BertConfig(vocab_size=pieces)) for pieces in (30_522, 119_547))
    own, total, table = (sum(p.numel() for p in part.parameters()) / 1e6 for part in (small, large, large.embeddings))
    millions = as_number(millions, "millions")
    if abs(millions - total) > 0.9:
        refuse(millions > 1e6, "unit")
        refuse(abs(millions - own) < 1, "own_vocabulary")
        refuse(abs(millions - table) < 1, "table_only")
        refuse(abs(millions - (total - own)) < 1, "added_only")
        refuse(abs(millions - (own + 119_547 * 768 / 1e6)) < 1, "both_tables")
        raise Wrong("sizes")
    choice(because, "c")


@exercise("2.4")
def next_word_loss(function) -> None:
    """The mean cross entropy of scores[:, t] for word t + 1, padding left out; as planted, for word t."""
    for trial in range(TRIALS):
        batch, words, pad = draw(2, 4), draw(6, 9), draw(0, 5) if trial else draw(1, 5)
        lengths = torch.cat([torch.tensor([8, 5]), torch.randint(3, 9, (batch - 2,))])  # some padding, not everywhere
        ids = (pad + torch.randint(1, words, (batch, 8))) % words  # any word but the padding
        ids[0, 3] = 0 if pad else 1  # a word like any other
        ids[torch.arange(8) >= lengths.unsqueeze(1)] = pad

        def loss_of(scores, ids=ids, pad=pad):
            return as_tensor(call(function, scores, ids, pad), ()).item()

        # a model that is sure of the word so many places on: what it reads, the next, the one before, the next but one
        sure = {shift: loss_of(20.0 * one_hot(ids.roll(-shift, dims=1), words)) for shift in (0, 1, -1, 2)}
        scores, targets = torch.randn(batch, 8, words), ids[:, 1:]
        planted = cross_entropy(scores.flatten(0, 1), ids.flatten(), ignore_index=pad).item()
        refuse(sure[0] < 1e-3 and not math.isclose(loss_of(scores), planted, rel_tol=1e-4), "same_place")
        refuse(sure[0] < 1e-3, "open_bug", next=sure[1])
        refuse(sure[-1] < 1e-3, "previous")
        refuse(sure[2] < 1e-3, "twice")
        surprise = -scores[:, :-1].log_softmax(dim=2).gather(2, targets.unsqueeze(2)).squeeze(2)  # (batch, 7)
        loss, right = loss_of(scores), surprise[targets != pad].mean().item()
        if math.isclose(loss, right, rel_tol=1e-3):
            continue
        of_words_read = surprise[ids[:, :-1] != pad].mean()
        refuse(any(math.isclose(loss, mean, rel_tol=1e-5) for mean in (surprise.mean(), of_words_read)), "padding")
        refuse(math.isclose(loss, surprise[targets != 0].mean(), rel_tol=1e-5), "pad_id", pad=pad)
        refuse(math.isclose(loss, surprise[targets != pad].sum(), rel_tol=1e-5), "sum")
        across = cross_entropy(scores.flatten(0, 1)[:-1], ids.flatten()[1:], ignore_index=pad)
        refuse(math.isclose(loss, across, rel_tol=1e-5), "across_texts")
        twice = cross_entropy(scores[:, :-1].softmax(dim=2).mT, targets, ignore_index=pad)
        refuse(math.isclose(loss, twice, rel_tol=1e-5), "softmaxed")
        other_end = scores.clone()
        other_end[:, -1] = torch.randn(batch, words)
        refuse(not math.isclose(loss, loss_of(other_end), rel_tol=1e-4), "last_place")
        raise Wrong("other", loss=loss, right=right)


@exercise("2.5")
def rotate(function) -> None:
    """The pair (2i, 2i + 1) of row p, turned by the angle p · speed[i] (Su et al., 2021, equation 34)"""
    for trial in range(TRIALS):
        tokens, waves = draw(2, 6), draw(2, 5) if trial else 3
        x, speed = torch.randn(tokens, 2 * waves), 0.2 + torch.rand(waves)
        pairs = torch.view_as_complex(x.unflatten(1, (waves, 2)))  # (tokens, waves): turning is one product
        angles = torch.arange(tokens).unsqueeze(1) * speed  # (tokens, waves)

        def turned(pairs, angles):
            return pairs * torch.polar(torch.ones_like(angles), angles)

        def flat(pairs):
            return torch.view_as_real(pairs).flatten(1)

        result = as_tensor(call(function, x, speed), x.shape)
        expected = flat(turned(pairs, angles))
        if close(result, expected):
            continue
        refuse(close(result, flat(turned(pairs, -angles))), "backwards")
        refuse(close(result, flat(turned(pairs, angles + speed))), "from_one")
        refuse(close(result, torch.cat([expected[:, ::2], expected[:, 1::2]], dim=1)), "order")
        halves = turned(torch.complex(x[:, :waves], x[:, waves:]), angles)
        of_halves = flat(halves), torch.cat([halves.real, halves.imag], dim=1)
        refuse(any(close(result, wrong) for wrong in of_halves), "halves", waves=waves)
        refuse(not close(result[0], x[0]), "position_0")
        now, old = result.unflatten(1, (waves, 2)).norm(dim=2), pairs.abs()  # lengths of the pairs
        if not close(now, old):
            row, pair = first((now - old).abs() > 1e-3 * old + 1e-4)
            raise Wrong("length", row=row, pair=pair, old=old[row, pair].item(), now=now[row, pair].item())
        off = (result - expected).abs().unflatten(1, (waves, 2)).amax(dim=2)
        row, pair = divmod(off.argmax().item(), waves)
        raise Wrong("angle", row=row, pair=pair, angle=angles[row, pair].item())


# --- lesson 3 -------------------------------------------------------------------------------------------------------


@exercise("3.1")
def predict_batch(prediction) -> None:
    """Texts of 4, 7 and 20 word pieces in one batch, cut at 12"""
    fields(prediction, "shape", "padding", "mask_sum")
    limit, texts = 12, (4, 7, 20)
    rows = nn.utils.rnn.pad_sequence([torch.ones(min(n + 2, limit)) for n in texts], batch_first=True)
    shape = prediction["shape"]
    refuse(not isinstance(shape, (tuple, list)) or len(shape) != 2, "no_shape", value=_short(shape))
    refuse(shape[1] in (20, 22), "uncut")
    refuse(shape[1] == limit + 2, "marks_extra")
    refuse(tuple(shape) != tuple(rows.shape), "longest", shape=tuple(shape))

    padding = as_number(prediction["padding"], "padding")
    refuse(padding == sum(limit - min(n, limit) for n in texts), "marks")
    refuse(padding != (rows == 0).sum(), "lacks")

    mask_sum = as_number(prediction["mask_sum"], "mask_sum")
    refuse(mask_sum == padding, "polarity")
    refuse(mask_sum == sum(n + 2 for n in texts), "cut_off")
    refuse(mask_sum != rows.sum(), "rest")


@exercise("3.2")
def pad_keep_end(function) -> None:
    """(input_ids, attention_mask) of texts that are cut from the left: the first piece, then the last ones"""
    for trial in range(TRIALS):
        limit, pad, cls, sep = draw(4, 9), draw(500, 599), draw(200, 299), draw(300, 399)
        inner = [limit + 3, limit - 2, 0] if trial % 2 == 0 else [limit - 3, 0]  # pieces between the marks
        inner += [draw(0, limit + 3 if trial % 2 == 0 else limit - 3) for _ in range(draw(1, 4))]
        pieces = [[cls, *torch.randint(1000, 9000, (n,)).tolist(), sep] for n in inner]
        kept = [[cls, *ids[1:][-(limit - 1) :]] for ids in pieces]
        longest = max(map(len, kept))
        result = call(function, pieces, limit, pad)
        refuse(not isinstance(result, (tuple, list)) or len(result) != 2, "two_tensors")
        if torch.is_tensor(result[0]) and result[0].dim() == 2 and len(result[0]) == len(pieces):
            width = result[0].shape[1]
            refuse(longest < limit == width, "always_full", limit=limit, longest=longest)
            refuse(longest == limit and 0 < abs(width - limit) < 3, "off_by", width=width, limit=limit)
        shape = len(pieces), longest
        input_ids = as_tensor(result[0], shape, "int", "input_ids")
        mask = as_tensor(result[1], shape, "int", "attention_mask")
        refuse(input_ids.max() <= 1, "swapped")
        for row, (ids, uncut) in enumerate(zip(kept, pieces, strict=True)):
            ours = input_ids[row, : len(ids)].tolist()
            refuse(len(ids) < longest and input_ids[row, -len(ids) :].tolist() == ids, "padded_left")
            is_cut, without_padding = len(ids) < len(uncut), [i for i in input_ids[row].tolist() if i not in (pad, 0)]
            shorter = 2 < len(without_padding) < limit
            if is_cut:
                refuse(ours == uncut[:limit], "from_right")
                refuse(ours == [*uncut[: limit - 1], sep], "before_sep")
                refuse(ours == uncut[-limit:], "cls_lost")
                refuse(
                    shorter and set(without_padding) <= set(uncut),
                    "too_short",
                    row=row,
                    count=len(without_padding),
                    limit=limit,
                )
                refuse(ours[0] == cls and sep not in ours, "sep_lost", row=row)
            refuse(ours[0] != cls and ours[1:-1] == ids[1:-1], "hard_coded", ours=ours[0], cls=cls)
            refuse(without_padding.count(cls) > 1, "cls_twice", row=row, count=len(uncut))
            refuse(without_padding.count(sep) > 1, "sep_twice", row=row)
            refuse(ours != ids, "pieces", row=row, right=ids, ours=ours)
            filled = [i for i in input_ids[row, len(ids) :].tolist() if i != pad]
            if filled:
                raise Wrong("pad_index", pad=pad, ours=filled[0])
        expected = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids in kept])
        refuse(torch.equal(mask, 1 - expected), "looks_at_padding")
        if not torch.equal(mask, expected):
            row, column = first(mask != expected)
            values = dict(row=row, column=column, mask=mask[row, column].item(), longest=longest)
            raise Wrong("mask", pieces=len(kept[row]), **values)


@exercise("3.3")
def pool_of_one(small_pool, because, shuffled) -> None:
    """The share of padding if each batch is sorted by itself (pool=1): that of shuffled batches"""
    small_pool = as_number(small_pool, "small_pool")
    if not math.isclose(small_pool, shuffled, abs_tol=0.04):
        refuse(small_pool > 1, "count")
        refuse(small_pool < 0.1, "pool_50")
        refuse(math.isclose(small_pool, shuffled / (1 - shuffled), abs_tol=0.02), "of_text")
        raise Wrong("other")
    choice(because, "a")


@exercise("3.4")
def accuracy_of(function) -> None:
    """The share of right rows over batches of any size; as planted, the mean of the batches' shares"""
    for trial in range(TRIALS):
        full = draw(41, 97)
        sizes = [full] * draw(2, 4) + [draw(full // 2 + 1, full - 1)]
        batches, right = [], []
        for texts in sizes:
            scores, labels = torch.randn(texts, 4), torch.randint(0, 4, (texts,))
            if len(batches) == trial % 2:  # one batch, never the last, that is all wrong
                labels = (scores.argmax(dim=1) + 1) % 4
            if len(batches) == len(sizes) - 1:  # the last and smaller one is all right
                labels = scores.argmax(dim=1)
            right.append((scores.argmax(dim=1) == labels).sum().item())
            batches.append((scores, labels))
        result = call(function, batches)
        accuracy = as_number(as_tensor(result, ()) if torch.is_tensor(result) else result, "accuracy")

        def says(value, tolerance=1e-5, accuracy=accuracy):
            return math.isclose(accuracy, value, abs_tol=tolerance)

        count, hits = sum(sizes), sum(right)
        if says(hits / count, tolerance=6e-4):  # rounding is no mistake
            continue
        told = dict(sizes=", ".join(map(str, sizes)), count=count, hits=hits, ours=accuracy, right=hits / count)
        shares = [r / n for r, n in zip(right, sizes, strict=True)]
        refuse(says(sum(shares) / len(shares)), "open_bug", **told)
        off = [(scores.argmax(dim=1) == labels - 1).sum().item() for scores, labels in batches]
        refuse(
            says(sum(off) / count) or says(sum(n / size for n, size in zip(off, sizes, strict=True)) / len(off)),
            "labels",
        )
        refuse(says(sum(shares) / count), "shares_by_texts")
        refuse(says(hits / (len(sizes) * sizes[-1])), "last_size", last=sizes[-1])
        refuse(says(hits), "number")
        refuse(says(100 * hits / count, tolerance=0.05), "percent")
        refuse(says(hits / (len(sizes) * full)), "full_batches", full=full, last=sizes[-1])
        refuse(says(sum(right[:-1]) / sum(sizes[:-1])), "last_lost")
        refuse(says(hits / len(sizes)), "batches")
        refuse(says(1 - hits / count), "mistakes")
        raise Wrong("other", **told)


@exercise("3.5")
def piece_labels(function) -> None:
    """The label of its word at the first piece of each word, -100 everywhere else"""
    for trial in range(2 * TRIALS):
        labels = torch.randint(0, 4, (draw(3, 6),)).tolist()
        labels[1] = labels[0] if trial % 2 else (labels[0] + 1) % 4  # neighbours with the same label
        counts = [2, *(draw(1, 3) for _ in labels[1:])]  # pieces of each word
        word_ids = [None, *(word for word, count in enumerate(counts) for _ in range(count)), None]
        if trial >= TRIALS:
            word_ids += [None] * draw(1, 3)  # padding

        def where_changed(others, labels=labels, word_ids=word_ids):
            return [
                -100 if word is None or word == other else labels[word]
                for word, other in zip(word_ids, others, strict=True)
            ]

        expected = where_changed([None, *word_ids[:-1]])
        result = call(function, labels, word_ids)
        ours = as_tensor(result, (len(word_ids),), "int").tolist() if torch.is_tensor(result) else result
        refuse(not isinstance(ours, (list, tuple)), "no_list", type=type(ours).__name__)
        refuse(len(ours) != len(word_ids), "count", wanted=len(word_ids), came=len(ours))
        refuse(list(ours) == where_changed([*word_ids[1:], None]), "last_piece")
        for place, (label, right, word) in enumerate(zip(ours, expected, word_ids, strict=True)):
            refuse(word is None and label != -100, "marks", place=place, label=label)
            refuse(right == -100 != label and label == labels[word], "every_piece", place=place, word=word)
            if label == -100 != right:
                refuse(word == 0, "word_0", place=place)
                refuse(labels[word] == labels[word - 1], "same_label", place=place, word=word)
            refuse(label != right, "other", place=place, word=word, label=label, right=right)

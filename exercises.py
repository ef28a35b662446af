"""Exercises that check themselves: each check says in one line whether an answer is right, or what is wrong with it.

    from exercises import check, progress
    check("1.3", window_mask)    # ✗ 1.3 not yet: row 2 may look at position 3: that is the future
    progress(1)                  # lesson 1: 4 of 6 exercises solved: ✓ 1.1 ...

A check calls the student's function with random inputs of random sizes and compares properties of the result; it never
raises because of an answer. The random numbers of the notebook are left as they were.

To add an exercise, write one function below, mark it with `@exercise("number")`, and put its hints into
`exercises.toml`, in English and in Korean. The function takes the answer and calls `refuse(condition, "name of hint",
values of the hint)` for each mistake that students make; if it comes to its end, the answer is right. A hint whose name
begins with "open" tells that nothing has been answered yet, or that a planted bug is still there.
"""

from __future__ import annotations

import copy
import math
import tomllib
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, one_hot

__all__ = ["check", "progress"]

# The language of the hints: that of the notebook's folder, notebooks/ko or notebooks/ko/solutions.
LANGUAGE = "ko" if "ko" in Path.cwd().parts[-2:] else "en"
HINTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
EXERCISES: dict[str, Callable] = {}
TRIALS = 8  # random inputs for each function
_marks: dict[str, str] = {}  # of the exercises checked since the notebook was started


class Wrong(Exception):
    """A mistake in an answer: the name of its hint, and the values that the hint tells."""


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
    mark, name, values = _examine(number, answers, seed)
    return mark, (HINTS[number].get(name) or HINTS["any"][name])[LANGUAGE].format(**values) if name else ""


def _examine(number: str, answers: tuple, seed: int) -> tuple[str, str, dict]:
    """The mark, the name of the hint ("" for none) and its values."""
    if number not in EXERCISES:
        raise ValueError(f"there is no exercise {number!r}; there are {', '.join(EXERCISES)}")
    if any(_has_gap(answer) for answer in answers):
        return "open", "", {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            EXERCISES[number](*answers)
        except Wrong as wrong:
            name, values = wrong.args
            return (
                ("open", name.removeprefix("gap"), values)
                if name.startswith(("gap", "open"))
                else ("wrong", name, values)
            )
        except Exception as error:  # an answer of a kind that the check did not think of
            return "wrong", "cannot_compare", {"reason": _first_line(error)}
    return "solved", "", {}


# --- looking at answers ---------------------------------------------------------------------------------------------


def refuse(condition, hint: str, **values) -> None:
    """Raise Wrong with the hint of this name if a condition holds."""
    if condition:
        raise Wrong(hint, values)


def _has_gap(answer) -> bool:
    """Whether `...` stands in the answer, as in the cells to be filled in."""
    parts = list(answer.values()) if isinstance(answer, dict) else answer
    return answer is ... or (isinstance(parts, (list, tuple)) and any(part is ... for part in parts))


def _same(value, old) -> bool:
    if isinstance(old, Tensor):
        return torch.equal(value, old)
    if isinstance(old, (list, tuple)):
        return len(value) == len(old) and all(map(_same, value, old))
    return value == old


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:160]


def call(function, *inputs):
    """The result of the student's function for `inputs`.

    Raises:
        Wrong: it is no function, still returns `...` or nothing, stops with an error, or changes its inputs.
    """
    refuse(not callable(function), "no_function", kind=type(function).__name__)
    before = [copy.deepcopy(value) if isinstance(value, (Tensor, list)) else None for value in inputs]
    try:
        result = function(*inputs)
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
        own = [frame.line for frame in frames if frame.filename == frames[0].filename and frame.line]
        raise Wrong("stops", {"line": f" (`{own[-1]}`)" if own else "", "reason": _first_line(error)}) from None
    refuse(_has_gap(result), "gap")
    refuse(result is None, "no_return")
    for value, old in zip(inputs, before, strict=True):
        refuse(old is not None and not _same(value, old), "changes_input")
    return result


def tensor(result, shape: Sequence[int], kind: str = "float") -> Tensor:
    """`result`, if it is a tensor of this shape on the CPU, of the kind "float", "bool" or "int", without nan.

    Raises:
        Wrong: with what came and what was wanted.
    """
    shape = tuple(shape)
    refuse(not torch.is_tensor(result), "no_tensor", shape=shape, kind=type(result).__name__)
    refuse(result.device.type != "cpu", "device", device=result.device)
    refuse(tuple(result.shape) != shape, "shape", came=tuple(result.shape), shape=shape)
    is_float, is_bool = result.is_floating_point(), result.dtype == torch.bool
    kinds = {"float": is_float, "bool": is_bool, "int": not (is_float or is_bool or result.is_complex())}
    refuse(not kinds[kind], "kind", kind=kind, came=str(result.dtype).removeprefix("torch."))
    if result.isnan().any():
        raise Wrong("nan", {"place": tuple(first(result.isnan()))})
    return result


def number(value, name: str) -> float:
    """`value` as a number; raises Wrong with the name of the answer if it is none."""
    if isinstance(value, Tensor) and value.numel() == 1 and value.device.type == "cpu":
        value = value.item()
    if hasattr(value, "item") and not isinstance(value, Tensor):  # of numpy
        value = value.item()
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    refuse(not is_number, "no_number", name=name, value=repr(value)[:40])
    return value


def fields(answer, *names: str) -> None:
    """Raise Wrong unless `answer` is a dictionary with these names."""
    refuse(not isinstance(answer, dict) or set(answer) != set(names), "no_fields", names=", ".join(names))


def choice(letter, right: str) -> None:
    """Raise Wrong unless `letter` is the right one of a, b, c, d; each of the others has a hint of its own."""
    given = letter.strip().lower() if isinstance(letter, str) else letter
    refuse(given not in ("a", "b", "c", "d"), "no_letter", value=repr(letter)[:40])
    refuse(given != right, f"because_{given}")


def close(ours: Tensor, theirs: Tensor) -> bool:
    return ours.shape == theirs.shape and torch.allclose(ours.float(), theirs.float(), rtol=1e-3, atol=1e-4)


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
    weight = number(prediction["weight"], "weight")
    refuse(weight in (7, 28), "score")
    refuse(weight in (0, 1), "hard")
    refuse(not math.isclose(weight, weights[0], abs_tol=0.006), "equal")

    result = number(prediction["result"], "result")
    if not math.isclose(result, weights @ values, abs_tol=0.006):
        refuse(result == values.sum(), "sum")
        refuse(result in values.tolist(), "single")
        refuse(True, "average")

    shifted = number(prediction["shifted"], "shifted")
    refuse(shifted > 0.9, "larger")
    refuse(math.isclose(shifted, 1 / 3, abs_tol=0.02), "ratio")
    expected = (torch.tensor([3.0, 2.0, 1.0]) + 100).softmax(dim=0)[0]
    refuse(not math.isclose(shifted, expected, abs_tol=0.01), "factor")


@exercise("1.2")
def bilinear_scores(function) -> None:
    """score of key i = query · W · key i (Luong et al., 2015, section 3.1, "general")"""
    for trial in range(TRIALS):
        batch, source = 1 if trial == 1 else draw(2, 4), 1 if trial == 2 else draw(2, 6)
        query_size = draw(2, 6)
        key_size = query_size if trial == 0 else draw(7, 11)  # a square W first: there a hint can say more
        query, keys = torch.randn(batch, query_size), torch.randn(batch, source, key_size)
        W = torch.randn(query_size, key_size)
        scores = tensor(call(function, query, keys, W), (batch, source))
        expected = torch.einsum("bq,qk,bsk->bs", query, W, keys)
        if close(scores, expected):
            continue
        refuse(close(scores, expected.softmax(dim=1)), "weights")
        if key_size == query_size:
            refuse(close(scores, torch.einsum("bq,bsq->bs", query, keys)), "without_w")
            refuse(close(scores, torch.einsum("bq,kq,bsk->bs", query, W, keys)), "transposed")
        refuse(any(close(scores, expected / size**0.5) for size in (query_size, key_size)), "scaled")
        text, key = first((scores - expected).abs() > 1e-4)
        refuse(True, "other", text=text, key=key, ours=scores[text, key].item(), right=expected[text, key].item())


@exercise("1.3")
def window_mask(function) -> None:
    """(tokens, tokens), True where 0 <= row - column < window"""
    for tokens, window in [(7, 3), (1, 1)] + [(draw(1, 12), draw(1, 9)) for _ in range(TRIALS)]:
        mask = tensor(call(function, tokens, window), (tokens, tokens), "bool")
        steps = torch.arange(tokens).unsqueeze(1) - torch.arange(tokens)  # from the row back to the column
        expected = (steps >= 0) & (steps < window)
        if torch.equal(mask, expected):
            continue
        refuse(torch.equal(mask, ~expected), "inverted")
        refuse(torch.equal(mask, expected.T), "transposed")
        if (mask & (steps < 0)).any():
            row, column = first(mask & (steps < 0))
            refuse(True, "future", row=row, column=column)
        if not mask.diagonal().all():
            refuse(True, "not_itself", row=first(~mask.diagonal())[0])
        row, column = first(mask ^ expected)
        values = dict(row=row, column=column, steps=steps[row, column].item(), window=window, before=window - 1)
        refuse(torch.equal(mask, (steps >= 0) & (steps <= window)), "one_too_many", **values)
        refuse(torch.equal(mask, (steps >= 0) & (steps < window - 1)), "one_too_few", **values)
        refuse(mask[row, column], "too_far", **values)
        refuse(True, "too_near", **values)


@exercise("1.4")
def padded_attention(function) -> None:
    """Scaled dot-product attention that leaves the padding out; as planted, the scores of padding become 0."""
    for trial in range(TRIALS):
        batch, targets, sources, size = draw(1, 3), draw(1, 4), draw(3, 7), draw(2, 9)
        query, key = torch.randn(batch, targets, size), torch.randn(batch, sources, size)
        value = torch.eye(sources).repeat(batch, 1, 1)  # so that the result shows the weights
        real = torch.arange(sources) < torch.randint(1, sources, (batch, 1))  # at least one word, one of padding
        if trial % 4 == 3:
            real = torch.ones(batch, sources, dtype=torch.bool)  # no padding at all
        weights = tensor(call(function, query, key, value, real), (batch, targets, sources))
        scores, padding = query @ key.transpose(1, 2) / size**0.5, ~real.unsqueeze(1)
        expected = scores.masked_fill(padding, -math.inf).softmax(dim=2)
        if close(weights, expected):
            continue
        leak = (weights * padding).sum(dim=2).max().item()
        refuse(close(weights, (scores * ~padding).softmax(dim=2)), "open_bug", leak=leak)
        refuse((weights * ~padding).abs().max() < 1e-6, "inverted")
        sums = weights.sum(dim=2)
        if not close(sums, torch.ones_like(sums)):
            text, row = first((sums - 1).abs() > 1e-4)
            refuse(True, "sums", text=text, row=row, sum=sums[text, row].item())
        refuse(leak > 1e-6, "leak", leak=leak)
        refuse(close(weights, (scores * size**0.5).masked_fill(padding, -math.inf).softmax(dim=2)), "unscaled")
        refuse(True, "other")


@exercise("1.5")
def divide_by_d(measured, because) -> None:
    """The entropy of the weights when scores of size 1024 are divided by d, not by its root"""

    def bits(scores):
        weights = scores.softmax(dim=-1)
        return -(weights * weights.clamp_min(1e-12).log2()).sum(dim=-1).mean().item()

    size = 1024
    scores = torch.randn(500, size) @ torch.randn(size, 32)
    measured = number(measured, "measured")
    if not math.isclose(measured, bits(scores / size), abs_tol=0.02):
        refuse(math.isclose(measured, bits(scores / size**0.5), abs_tol=0.15), "root")
        refuse(measured < 2, "undivided")
        refuse(True, "other")
    choice(because, "b")


@exercise("1.6")
def attention_in_parts(function) -> None:
    """softmax(keys · query / √d) · values, though keys and values come part by part (Milakov, Gimelshein, 2018)"""
    for trial in range(3 * TRIALS):
        falling, rising = (
            trial < TRIALS,
            TRIALS <= trial < 2 * TRIALS,
        )  # scores; then of several hundred: no exp bears them
        size, value_size = draw(2, 9), draw(2, 5)
        lengths = [draw(1, 5) for _ in range(draw(2, 4))] if trial else [4]
        query, keys = torch.randn(size), (1 if falling or rising else 60) * torch.randn(sum(lengths), size)
        values = torch.randn(sum(lengths), value_size)
        if falling or rising:  # where scores rise, every part brings a new maximum
            keys = keys[(keys @ query).argsort(descending=falling)]
        parts = list(zip(keys.split(lengths), values.split(lengths), strict=True))
        scores = keys @ query / size**0.5
        result = call(function, query, iter(parts))
        if torch.is_tensor(result) and not result.isfinite().all() and result.shape == (value_size,):
            refuse(True, "overflow", largest=scores.abs().max().item())
        tensor(result, (value_size,))
        if close(result, scores.softmax(dim=0) @ values):
            continue
        each = torch.stack([(k @ query / size**0.5).softmax(dim=0) @ v for k, v in parts])  # (parts, value size)
        if len(parts) > 1:
            refuse(close(result, each.mean(dim=0)) or close(result, each.sum(dim=0)), "softmax_each")
            refuse(close(result, each[-1]), "last_part")
        refuse(close(result, (scores * size**0.5).softmax(dim=0) @ values), "unscaled")
        sums = [(scores - scores.max()).exp() @ values, scores.exp() @ values]
        refuse(any(close(result, unnormed) for unnormed in sums), "unnormed")
        refuse(rising, "new_maximum")
        refuse(True, "other")


# --- lesson 2 -------------------------------------------------------------------------------------------------------


@exercise("2.1")
def predict_heads(prediction) -> None:
    """BERT-base with 24 heads in place of 12"""
    fields(prediction, "head_size", "weights_shape", "times_parameters")
    layers = {heads: nn.MultiheadAttention(768, heads, batch_first=True) for heads in (12, 24)}
    head_size = number(prediction["head_size"], "head_size")
    refuse(head_size == layers[12].head_dim, "twelve")
    refuse(head_size != layers[24].head_dim, "cut")

    x, shape = torch.randn(2, 10, 768), prediction["weights_shape"]
    expected = tuple(layers[24](x, x, x, average_attn_weights=False)[1].shape)
    refuse(not isinstance(shape, (tuple, list)), "no_shape", value=repr(shape)[:40])
    refuse(layers[24].head_dim in shape, "size_in_shape")
    refuse(tuple(shape) != expected and sorted(map(str, shape)) == sorted(map(str, expected)), "order")
    refuse(tuple(shape) != expected, "pairs", shape=tuple(shape))

    times = number(prediction["times_parameters"], "times_parameters")
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
            return tensor(call(function, x, attention, feed_forward, norm1, norm2), x.shape)

        middle = x + attention(norm1(x))
        if close(ours(), middle + feed_forward(norm2(middle))):
            continue
        post = norm1(x + attention(x))
        refuse(close(ours(), norm2(post + feed_forward(post))), "post_norm")
        silent = torch.zeros_like
        refuse(not close(ours(silent, silent), x), "residual")
        second = ours(attention=silent)
        refuse(close(second, x + feed_forward(norm1(x))), "norm1_twice")
        refuse(not close(second, x + feed_forward(norm2(x))), "second_half")
        first_half = ours(feed_forward=silent)
        refuse(close(first_half, x + attention(x)), "no_norm1")
        refuse(not close(first_half, middle), "first_half")
        refuse(True, "parallel")


@exercise("2.3")
def larger_vocabulary(millions, because) -> None:
    """The parameters of BERT-base with 119,547 pieces, and why they cost no multiplication"""
    from transformers import BertConfig, BertModel  # here, because it takes seconds to import

    with torch.device("meta"):
        small, large = (BertModel(BertConfig(vocab_size=pieces)) for pieces in (30_522, 119_547))
    own, total, table = (sum(p.numel() for p in part.parameters()) / 1e6 for part in (small, large, large.embeddings))
    millions = number(millions, "millions")
    if not math.isclose(millions, total, abs_tol=0.1):
        refuse(millions > 1e6, "unit")
        refuse(math.isclose(millions, own, abs_tol=0.1), "own_vocabulary")
        refuse(math.isclose(millions, table, abs_tol=1), "table_only")
        refuse(True, "sizes")
    choice(because, "c")


@exercise("2.4")
def next_word_loss(function) -> None:
    """The mean cross entropy of scores[:, t] for word t + 1, padding left out; as planted, for word t."""
    for _ in range(TRIALS):
        batch, words, pad = draw(2, 4), draw(6, 9), draw(0, 5)
        lengths = torch.cat([torch.tensor([8, 5]), torch.randint(3, 9, (batch - 2,))])  # some padding, not everywhere
        ids = (pad + torch.randint(1, words, (batch, 8))) % words  # any word but the padding
        ids[torch.arange(8) >= lengths.unsqueeze(1)] = pad

        def loss_of(scores, ids=ids, pad=pad):
            return tensor(call(function, scores, ids, pad), ()).item()

        # a model that is sure of the word so many places on: what it reads, the next, the one before, the next but one
        sure = {shift: loss_of(20.0 * one_hot(ids.roll(-shift, dims=1), words)) for shift in (0, 1, -1, 2)}
        refuse(sure[0] < 1e-3, "open_bug", next=sure[1])
        refuse(sure[-1] < 1e-3, "previous")
        refuse(sure[2] < 1e-3, "twice")
        scores, targets = torch.randn(batch, 8, words), ids[:, 1:]
        surprise = -scores[:, :-1].log_softmax(dim=2).gather(2, targets.unsqueeze(2)).squeeze(2)  # (batch, 7)
        loss, right = loss_of(scores), surprise[targets != pad].mean().item()
        if math.isclose(loss, right, rel_tol=1e-3):
            continue
        refuse(math.isclose(loss, surprise.mean(), rel_tol=1e-3), "padding")
        refuse(math.isclose(loss, surprise[targets != pad].sum(), rel_tol=1e-3), "sum")
        other_end = scores.clone()
        other_end[:, -1] = torch.randn(batch, words)
        refuse(not math.isclose(loss, loss_of(other_end), rel_tol=1e-4), "last_place")
        refuse(True, "other", loss=loss, right=right)


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

        result = tensor(call(function, x, speed), x.shape)
        expected = flat(turned(pairs, angles))
        if close(result, expected):
            continue
        refuse(close(result, flat(turned(pairs, -angles))), "backwards")
        refuse(close(result, flat(turned(pairs, angles + speed))), "from_one")
        refuse(close(result, torch.cat([expected[:, ::2], expected[:, 1::2]], dim=1)), "order")
        halves = turned(torch.complex(x[:, :waves], x[:, waves:]), angles)
        refuse(close(result, torch.cat([halves.real, halves.imag], dim=1)), "halves", waves=waves)
        refuse(not close(result[0], x[0]), "position_0")
        now, old = result.unflatten(1, (waves, 2)).norm(dim=2), pairs.abs()  # lengths of the pairs
        if not close(now, old):
            row, pair = first((now - old).abs() > 1e-3 * old + 1e-4)
            refuse(True, "length", row=row, pair=pair, old=old[row, pair].item(), now=now[row, pair].item())
        off = (result - expected).abs().unflatten(1, (waves, 2)).amax(dim=2)
        row, pair = divmod(off.argmax().item(), waves)
        refuse(True, "angle", row=row, pair=pair, angle=angles[row, pair].item())


# --- lesson 3 -------------------------------------------------------------------------------------------------------


@exercise("3.1")
def predict_batch(prediction) -> None:
    """Texts of 4, 7 and 20 word pieces in one batch, cut at 12"""
    fields(prediction, "shape", "padding", "mask_sum")
    limit, texts = 12, (4, 7, 20)
    rows = nn.utils.rnn.pad_sequence([torch.ones(min(n + 2, limit)) for n in texts], batch_first=True)
    shape = prediction["shape"]
    refuse(not isinstance(shape, (tuple, list)) or len(shape) != 2, "no_shape", value=repr(shape)[:40])
    refuse(shape[1] in (20, 22), "uncut")
    refuse(shape[1] == limit + 2, "marks_extra")
    refuse(tuple(shape) != tuple(rows.shape), "longest", shape=tuple(shape))

    padding = number(prediction["padding"], "padding")
    refuse(padding == sum(limit - min(n, limit) for n in texts), "marks")
    refuse(padding != (rows == 0).sum(), "lacks")

    mask_sum = number(prediction["mask_sum"], "mask_sum")
    refuse(mask_sum == padding, "polarity")
    refuse(mask_sum == sum(n + 2 for n in texts), "cut_off")
    refuse(mask_sum != rows.sum(), "rest")


@exercise("3.2")
def pad_keep_end(function) -> None:
    """(input_ids, attention_mask) of texts that are cut from the left: the first piece, then the last ones"""
    for trial in range(TRIALS):
        limit, pad, (cls, sep) = draw(4, 9), draw(500, 600), torch.randint(200, 400, (2,)).tolist()
        inner = (
            [limit + 3, limit - 2, 0] if trial % 2 == 0 else [limit - 3, 0]
        )  # of [CLS] and [SEP]: cut, just fits, empty
        inner += [draw(0, 12 if trial % 2 == 0 else limit - 3) for _ in range(draw(1, 4))]
        pieces = [[cls, *torch.randint(1000, 9000, (n,)).tolist(), sep] for n in inner]
        kept = [[cls, *ids[1:][-(limit - 1) :]] for ids in pieces]
        longest = max(map(len, kept))
        result = call(function, pieces, limit, pad)
        refuse(not isinstance(result, (tuple, list)) or len(result) != 2, "two_tensors")
        if torch.is_tensor(result[0]) and result[0].dim() == 2 and len(result[0]) == len(pieces):
            width = result[0].shape[1]
            refuse(longest < limit == width, "always_full", limit=limit, longest=longest)
            refuse(longest == limit and 0 < abs(width - limit) < 3, "off_by", width=width, limit=limit)
        input_ids, mask = (tensor(part, (len(pieces), longest), "int") for part in result)
        for row, (ids, uncut) in enumerate(zip(kept, pieces, strict=True)):
            ours = input_ids[row, : len(ids)].tolist()
            refuse(len(ids) < longest and input_ids[row, -len(ids) :].tolist() == ids, "padded_left")
            if len(ids) < len(uncut):
                refuse(ours == uncut[:limit], "from_right")
                refuse(ours == [*uncut[: limit - 1], sep], "before_sep")
                refuse(ours == uncut[-limit:], "cls_lost")
            refuse(ours != ids, "pieces", row=row, right=ids, ours=ours)
            filled = input_ids[row, len(ids) :].tolist()
            refuse(any(i != pad for i in filled), "pad_index", pad=pad, ours=filled[-1] if filled else pad)
        expected = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids in kept])
        refuse(torch.equal(mask, 1 - expected), "looks_at_padding")
        if not torch.equal(mask, expected):
            row, column = first(mask != expected)
            values = dict(row=row, column=column, mask=mask[row, column].item(), longest=longest)
            refuse(True, "mask", pieces=len(kept[row]), **values)


@exercise("3.3")
def small_pool(measured, because, shuffled) -> None:
    """The share of padding if each batch is sorted by itself (pool=1): that of shuffled batches"""
    measured = number(measured, "measured")
    if not math.isclose(measured, shuffled, abs_tol=0.04):
        refuse(measured > 1, "count")
        refuse(measured < 0.1, "pool_50")
        refuse(math.isclose(measured, shuffled / (1 - shuffled), abs_tol=0.02), "of_text")
        refuse(True, "other")
    choice(because, "a")


@exercise("3.4")
def accuracy_of(function) -> None:
    """The share of right rows over batches of any size; as planted, the mean of the batches' shares"""
    for trial in range(TRIALS):
        full = draw(11, 29)
        sizes = [full] * draw(2, 4) + [draw(2, full - 2)]
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
        accuracy = number(tensor(result, ()) if torch.is_tensor(result) else result, "accuracy")

        def says(value, accuracy=accuracy):
            return math.isclose(accuracy, value, abs_tol=1e-5)

        count, all_right = sum(sizes), sum(right)
        if says(all_right / count):
            continue
        shares = [r / n for r, n in zip(right, sizes, strict=True)]
        told = dict(
            sizes=", ".join(map(str, sizes)), count=count, hits=all_right, ours=accuracy, right=all_right / count
        )
        refuse(says(sum(shares) / len(shares)), "open_bug", **told)
        refuse(says(all_right), "number")
        refuse(says(all_right / (len(sizes) * full)), "full_batches", full=full, last=sizes[-1])
        refuse(says(sum(right[:-1]) / sum(sizes[:-1])), "last_lost")
        refuse(says(all_right / len(sizes)), "batches")
        refuse(says(1 - all_right / count), "mistakes")
        refuse(True, "other", **told)


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
        ours = tensor(result, (len(word_ids),), "int").tolist() if torch.is_tensor(result) else result
        refuse(not isinstance(ours, (list, tuple)), "no_list", kind=type(ours).__name__)
        refuse(len(ours) != len(word_ids), "count", wanted=len(word_ids), came=len(ours))
        refuse(list(ours) == where_changed([*word_ids[1:], None]), "last_piece")
        for place, (label, right, word) in enumerate(zip(ours, expected, word_ids, strict=True)):
            refuse(word is None and label != -100, "marks", place=place, label=label)
            refuse(right == -100 != label and label == labels[word], "every_piece", place=place, word=word)
            refuse(label == -100 != right, "same_label", place=place, word=word)
            refuse(label != right, "other", place=place, word=word, label=label, right=right)

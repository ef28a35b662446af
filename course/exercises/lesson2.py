"""The checks of lesson 2: transformers."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy, layer_norm, one_hot

from course.exercises.answers import (
    as_tensor,
    call,
    compare,
    compare_choice,
    compare_number,
    compare_shape,
    fields,
    place,
    random_int,
    same,
    trials,
)


def predict_heads(prediction) -> None:
    """BERT-base with 24 heads in place of 12"""
    head_size, weights_shape, times_parameters = fields(prediction, "head_size", "weights_shape", "times_parameters")
    compare_number("head_size", head_size, 32, {"twelve": 64, "cut": True})
    expected = (2, 24, 10, 10)
    mistakes = {
        "size_in_shape": lambda shape: 32 in shape,
        "old_heads": lambda shape: 12 in shape,
        "order": lambda shape: sorted(map(str, shape)) == sorted(map(str, expected)),
        "pairs": True,
    }
    compare_shape(weights_shape, expected, mistakes)
    compare_number("times_parameters", times_parameters, 1, {"twice": 2, "matrices": True})


@trials(8)
def pre_norm(function, _) -> None:
    """x + attention(norm1(x)), then the same with feed_forward and norm2 (Xiong et al., 2020, figure 1b)"""
    tokens, size = random_int(1, 5), random_int(3, 8)
    x, gains, linear = 3 * torch.randn(4, tokens, size) + 1, torch.rand(2, size) + 0.5, torch.randn(size, size)
    # text 0 has both parts, text 1 attention only, text 2 feed_forward only, text 3 none: there they give 0
    attends, feeds = torch.tensor([[1.0, 1, 0, 0], [1, 0, 1, 0]])[:, :, None, None]

    def attention(x):
        return (x @ linear) * attends

    def feed_forward(x):
        return x.tanh() * feeds

    norm1, norm2 = (lambda x, gain=gain: layer_norm(x, gain.shape, weight=gain) for gain in gains)

    def block(first, second):
        middle = x + first(x)
        return middle + second(middle)

    def after(norm, part):
        return lambda x: part(norm(x))

    first, second = after(norm1, attention), after(norm2, feed_forward)
    expected, middle = block(first, second), x + first(x)
    post = norm1(x + attention(x))

    def differs(text):
        return lambda result: not same(result[text], expected[text])

    mistakes = {
        "post_norm": norm2(post + feed_forward(post)),
        "no_effect": middle,
        "attention_lost": x + second(middle),
        "residual": differs(3),
        "norms_swapped": [
            block(after(norm2, attention), after(norm1, feed_forward)),
            block(after(norm1, feed_forward), after(norm2, attention)),
        ],
        "norm1_twice": block(first, after(norm1, feed_forward)),
        "norm_behind": [
            block(after(attention, norm1), second),
            block(first, after(feed_forward, norm2)),
            block(after(attention, norm1), after(feed_forward, norm2)),
        ],
        "second_half": differs(2),
        "no_norm1": block(attention, second),
        "first_half": differs(1),
        "parallel": True,
    }
    compare(call(function, x, attention, feed_forward, norm1, norm2), expected, mistakes)


def larger_vocabulary(millions, because) -> None:
    """The parameters of BERT-base with 119,547 pieces, and why they cost no multiplication"""
    own, old_table, table = 109.48224, 30_522 * 768 / 1e6, 119_547 * 768 / 1e6  # in millions
    other_embeddings = (512 + 2 + 2) * 768 / 1e6  # positions, segments and a layer norm
    total = own - old_table + table

    def near(wrong):
        return lambda number: abs(number - wrong) < 1

    mistakes = {
        "unit": lambda number: number > 1e6,
        "own_vocabulary": near(own),
        "table_only": near(table + other_embeddings),
        "added_only": near(table - old_table),
        "both_tables": near(own + table),
        "sizes": True,
    }
    compare_number("millions", millions, total, mistakes, tolerance=0.9)
    compare_choice(because, "c")


@trials(8)
def next_word_loss(function, trial) -> None:
    """The mean cross entropy of scores[:, t] for word t + 1, padding left out; as planted, for word t."""
    batch, words, pad = random_int(2, 4), random_int(6, 9), random_int(0, 5) if trial else random_int(1, 5)
    lengths = torch.cat([torch.tensor([8, 5]), torch.randint(3, 9, (batch - 2,))])  # some padding, not everywhere
    ids = (pad + torch.randint(1, words, (batch, 8))) % words  # any word but the padding
    ids[0, 3] = 0 if pad else 1  # a word like any other
    ids[torch.arange(8) >= lengths.unsqueeze(1)] = pad
    scores = torch.randn(batch, 8, words)

    def loss(scores, ids, ignored=pad):
        return cross_entropy(scores.flatten(0, -2), ids.flatten(), ignore_index=ignored).item()

    before, targets = scores[:, :-1], ids[:, 1:]
    expected = loss(before, targets)
    mistakes = {
        "open_bug": loss(scores, ids),
        "same_place": [loss(before, ids[:, :-1]), loss(scores[:, 1:], targets)],
        "previous": loss(scores[:, 1:], ids[:, :-1]),
        "twice": loss(scores[:, :-2], ids[:, 2:]),
        "padding": [loss(before, targets, -100), loss(before, targets.masked_fill(ids[:, :-1] == pad, -100), -100)],
        "pad_id": loss(before, targets, 0),
        "sum": expected * (targets != pad).sum().item(),
        "across_texts": loss(scores.flatten(0, 1)[:-1], ids.flatten()[1:]),
        "softmaxed": loss(before.softmax(dim=2), targets),
        "last_place": loss(scores, ids.roll(-1, dims=1)),
    }
    number = as_tensor(call(function, scores, ids, pad), torch.tensor(expected)).item()
    sure_of_next = loss(20.0 * one_hot(ids.roll(-1, dims=1), words), ids)  # as planted
    compare_number("loss", number, expected, mistakes, 2e-3, loss=number, pad=pad, next=sure_of_next)


@trials(8)
def rotate(function, trial) -> None:
    """The pair (2i, 2i + 1) of row p, turned by the angle p · speed[i] (Su et al., 2021, equation 34)"""
    tokens, waves = random_int(2, 6), random_int(2, 5) if trial else 3
    x, speed = torch.randn(tokens, 2 * waves), 0.2 + torch.rand(waves)
    pairs = torch.view_as_complex(x.unflatten(1, (waves, 2)))  # (tokens, waves): turning is one product
    angles = torch.arange(tokens).unsqueeze(1) * speed  # (tokens, waves)

    def turned(pairs, angles):
        return pairs * torch.polar(torch.ones_like(angles), angles)

    def flat(pairs):
        return torch.view_as_real(pairs).flatten(1)

    expected = flat(turned(pairs, angles))
    halves = turned(torch.complex(x[:, :waves], x[:, waves:]), angles)

    def wrong_length(result):
        now, old = result.unflatten(1, (waves, 2)).norm(dim=2), pairs.abs()
        return place((now - old).abs() > 1e-3 * old + 1e-4, "row", "pair", old=old, now=now)

    def wrong_angle(result):
        off = (result - expected).abs().unflatten(1, (waves, 2)).amax(dim=2)
        return place(off == off.max(), "row", "pair", angle=angles)

    mistakes = {
        "backwards": flat(turned(pairs, -angles)),
        "from_one": flat(turned(pairs, angles + speed)),
        "order": torch.cat([expected[:, ::2], expected[:, 1::2]], dim=1),
        "halves": [flat(halves), torch.cat([halves.real, halves.imag], dim=1)],
        "position_0": lambda result: not same(result[0], x[0]),
        "length": wrong_length,
        "angle": wrong_angle,
    }
    compare(call(function, x, speed), expected, mistakes, describe=lambda result: {"waves": waves})


CHECKS = {
    "2.1": predict_heads,
    "2.2": pre_norm,
    "2.3": larger_vocabulary,
    "2.4": next_word_loss,
    "2.5": rotate,
}

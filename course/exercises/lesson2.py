"""The checks of lesson 2: transformers."""

import torch
from torch.nn.functional import cross_entropy, layer_norm, one_hot

from course.exercises import answers
from course.exercises.answers import compare, compare_number, exercise, fields, place, random_int, same


@exercise("2.1")
def predict_heads(prediction) -> None:
    """BERT-base with 24 heads in place of 12"""
    head_size, weights_shape, times_parameters = fields(prediction, "head_size", "weights_shape", "times_parameters")
    compare_number("head_size", head_size, 32, {"twelve": 64, "cut": True})
    mistakes = {
        "size_in_shape": lambda shape: 32 in shape,
        "old_heads": lambda shape: 12 in shape,
        "order": lambda shape: sorted(map(str, shape)) == ["10", "10", "2", "24"],
        "pairs": True,
    }
    answers.compare_shape(weights_shape, (2, 24, 10, 10), mistakes)
    compare_number("times_parameters", times_parameters, 1, {"twice": 2, "matrices": True})


@exercise("2.2", trials=8)
def pre_norm(function, _) -> None:
    """x + attention(norm1(x)), then the same with feed_forward and norm2 (Xiong et al., 2020, figure 1b)"""
    tokens, size = random_int(1, 5), random_int(3, 8)
    x, gains, linear = 3 * torch.randn(4, tokens, size) + 1, torch.rand(2, size) + 0.5, torch.randn(size, size)
    # text 0 has both parts, text 1 attention only, text 2 feed_forward only, text 3 none: there they give 0
    attends, feeds = torch.tensor([[1.0, 1, 0, 0], [1, 0, 1, 0]])[:, :, None, None]
    norm1, norm2 = (lambda x, gain=gain: layer_norm(x, gain.shape, weight=gain) for gain in gains)

    def attention(x):
        return (x @ linear) * attends

    def feed_forward(x):
        return x.tanh() * feeds

    def block(inner1, outer1, inner2, outer2):
        middle = x + outer1(inner1(x))
        return middle + outer2(inner2(middle))

    expected = block(norm1, attention, norm2, feed_forward)
    middle, post = x + attention(norm1(x)), norm1(x + attention(x))
    mistakes = {
        "post_norm": norm2(post + feed_forward(post)),
        "no_effect": middle,
        "attention_lost": x + feed_forward(norm2(middle)),
        "residual": lambda result: not same(result[3], expected[3]),
        "norms_swapped": [block(norm2, attention, norm1, feed_forward), block(norm1, feed_forward, norm2, attention)],
        "norm1_twice": block(norm1, attention, norm1, feed_forward),
        "norm_behind": [
            block(attention, norm1, norm2, feed_forward),
            block(norm1, attention, feed_forward, norm2),
            block(attention, norm1, feed_forward, norm2),
        ],
        "second_half": lambda result: not same(result[2], expected[2]),
        "no_norm1": block(torch.clone, attention, norm2, feed_forward),
        "first_half": lambda result: not same(result[1], expected[1]),
        "parallel": True,
    }
    compare(answers.call(function, x, attention, feed_forward, norm1, norm2), expected, mistakes)


@exercise("2.3")
def larger_vocabulary(millions, because) -> None:
    """The parameters of BERT-base with 119,547 pieces, and why they cost no multiplication"""
    own, old_table, table = 109.48224, 30_522 * 768 / 1e6, 119_547 * 768 / 1e6  # in millions
    other_embeddings = (512 + 2 + 2) * 768 / 1e6  # positions, segments and a layer norm
    mistakes = {
        "unit": lambda number: number > 1e6,
        "own_vocabulary": lambda number: abs(number - own) < 1,
        "table_only": lambda number: abs(number - table - other_embeddings) < 1,
        "added_only": lambda number: abs(number - table + old_table) < 1,
        "both_tables": lambda number: abs(number - own - table) < 1,
        "sizes": True,
    }
    compare_number("millions", millions, own - old_table + table, mistakes, tolerance=0.9)
    answers.compare_choice(because, "c")


@exercise("2.4", trials=8)
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
    number = answers.as_tensor(answers.call(function, scores, ids, pad), torch.tensor(expected)).item()
    sure_of_next = loss(20.0 * one_hot(ids.roll(-1, dims=1), words), ids)  # as planted
    compare_number("loss", number, expected, mistakes, 2e-3, loss=number, pad=pad, next=sure_of_next)


@exercise("2.5", trials=8)
def rotate(function, trial) -> None:
    """The pair (2i, 2i + 1) of row p, turned by the angle p · speed[i] (Su et al., 2021, equation 34)"""
    tokens, waves = random_int(2, 6), random_int(2, 5) if trial else 3
    x, speed = torch.randn(tokens, 2 * waves), 0.2 + torch.rand(waves)
    pairs = torch.view_as_complex(x.unflatten(1, (waves, 2)))  # (tokens, waves): turning is one product
    angles = torch.arange(tokens).unsqueeze(1) * speed  # (tokens, waves)

    def turned(pairs, angles):
        return torch.view_as_real(pairs * torch.exp(1j * angles)).flatten(1)

    def even_first(result):
        return torch.cat([result[:, ::2], result[:, 1::2]], dim=1)

    expected, halves = turned(pairs, angles), turned(torch.complex(x[:, :waves], x[:, waves:]), angles)

    def wrong_length(result):
        now, old = result.unflatten(1, (waves, 2)).norm(dim=2), pairs.abs()
        return place((now - old).abs() > 1e-3 * old + 1e-4, "row", "pair", old=old, now=now)

    def wrong_angle(result):
        off = (result - expected).abs().unflatten(1, (waves, 2)).amax(dim=2)
        return place(off == off.max(), "row", "pair", angle=angles)

    mistakes = {
        "backwards": turned(pairs, -angles),
        "from_one": turned(pairs, angles + speed),
        "order": even_first(expected),
        "halves": [halves, even_first(halves)],
        "position_0": lambda result: not same(result[0], x[0]),
        "length": wrong_length,
        "angle": wrong_angle,
    }
    compare(answers.call(function, x, speed), expected, mistakes, waves=waves)

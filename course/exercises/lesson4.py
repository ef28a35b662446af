"""The checks of lesson 4: a transformer that writes."""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from course.exercises import answers
from course.exercises.answers import Mistake, compare, compare_number, exercise, place, random_int, same


@exercise("4.1")
def predict_decoder(prediction) -> None:
    """A causal decoder: 3 layers, 4 heads, 64 wide, 500 words in its vocabulary; 2 texts of 10 words each"""
    logits_shape, zero_weights, kept = answers.fields(prediction, "logits_shape", "zero_weights", "kept_numbers")
    mistakes = {
        "hidden": lambda shape: 64 in shape,
        "last_place": [(2, 500), (2, 1, 500)],
        "shifted": [(2, 9, 500), (2, 11, 500)],
        "order": lambda shape: sorted(map(str, shape)) == ["10", "2", "500"],
        "each_place": True,
    }
    answers.compare_shape(logits_shape, (2, 10, 500), mistakes)
    mistakes = {"allowed": 55, "itself": 90, "half": 50, "one_row": lambda number: number < 10, "triangle": True}
    compare_number("zero_weights", zero_weights, 45, mistakes)
    one = 10 * 64  # the keys of one layer
    mistakes = {
        "one_layer": [one, 2 * one],
        "keys_only": 3 * one,
        "one_head": [3 * one / 4, 2 * 3 * one / 4],
        "heads_count": 4 * 2 * 3 * one,
        "both_texts": 2 * 2 * 3 * one,
        "queries": 3 * 3 * one,
        "product": True,
    }
    compare_number("kept_numbers", kept, 2 * 3 * one, mistakes)


@exercise("4.2", trials=8)
def top_p(function, trial) -> None:
    """The logits of the fewest words that together have the probability p, −∞ elsewhere (Holtzman et al., 2020)"""
    batch, words = random_int(3, 5), random_int(7, 12)
    while True:  # until all mistakes give different results
        logits, p = 2 * torch.randn(batch, words), round(0.55 + 0.35 * torch.rand(()).item(), 2)
        logits[trial % batch, random_int(0, words - 1)] += 12  # here the model is sure
        first = logits.argsort(dim=1, descending=True)  # the words of each row, the most probable first
        probability = logits.softmax(dim=1)
        sums = probability.gather(1, first).cumsum(dim=1)
        count = (sums < p).sum(dim=1, keepdim=True) + 1  # of the words that are kept
        expected, mistakes = wrong_top_p(logits, probability, first, count, p)
        wrong = [tensor for value in mistakes.values() for tensor in (value if isinstance(value, list) else [value])]
        different = all(not same(a, b) for a, b in itertools.combinations([expected, *wrong], 2))
        if different and (sums - p).abs().min() > 0.01:
            break

    def wrong_row(result) -> dict:
        row = (result != expected).any(dim=1).nonzero()[0].item()
        return {"row": row, "ours": int(result[row].isfinite().sum()), "right": count[row].item()}

    nothing_left = {"nothing_left": lambda result: not result.isfinite().any(dim=1).all()}
    compare(answers.call(function, logits, p), expected, mistakes | nothing_left, describe=wrong_row, p=p)


def wrong_top_p(logits, probability, first, count, p) -> tuple[Tensor, dict]:
    """The right result of top-p and the wrong ones, by the names of their hints."""
    rank, place_in_row = first.argsort(dim=1), torch.arange(logits.shape[1])  # rank 0: the most probable word
    in_order, upwards = logits.gather(1, first), probability.gather(1, first.flip(1))  # the least probable first

    def keep(chosen: Tensor, values=logits) -> Tensor:
        return values.masked_fill(~chosen, -math.inf)

    right, raw_before = rank < count, in_order.cumsum(dim=1) - in_order
    return keep(right), {
        "probabilities": [probability * right, keep(right).softmax(dim=1)],
        "zeros": logits * right,
        "each_word": keep(probability >= p),
        "sorted": keep(place_in_row < count, in_order),
        "wrong_words": keep(place_in_row < count),
        "raw_logits": keep((raw_before < p).gather(1, rank)),
        "least": keep((upwards.cumsum(dim=1) - upwards < p).flip(1).gather(1, rank)),
        "one_row": [keep(rank < count[0]), keep(rank < count.max())],
        "one_too_few": keep(rank < (count - 1).clamp_min(1)),
        "one_too_many": keep(rank < count + 1),
    }


@exercise("4.3", trials=8)
def read_with_cache(function, trial) -> None:
    """Attention of new words to all words so far; as planted, new words are always put at the places from 0 on"""
    batch, size, table = random_int(2, 3), random_int(4, 7), 14
    words, places, query, key, value = tables = [torch.randn(n, size) for n in (9, table, size, size, size)]
    pieces = [random_int(3, 4), *([1, 2, 1] if trial % 2 else [2, 1, 1])]  # the prompt, and what follows it
    parts = torch.randint(0, 9, (batch, sum(pieces))).split(pieces, dim=1)

    def right_places(past, new) -> Tensor:
        return torch.arange(past, past + new)

    def read(part, cache, place_of=right_places, ahead=0, own_only=False) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The function as it should be; the options are mistakes. `ahead`: how far ahead a word may look."""
        past, new = cache[0].shape[1], part.shape[1]
        x = words[part] + (places[place_of(past, new)] if place_of else 0)
        keys, values = torch.cat([cache[0], x @ key], dim=1), torch.cat([cache[1], x @ value], dim=1)
        may_look = torch.ones(new, past + new, dtype=torch.bool).tril(past + ahead)
        if own_only:
            may_look[:, :past] = False
        scores = (x @ query @ keys.transpose(1, 2) / size**0.5).masked_fill(~may_look, -math.inf)
        return scores.softmax(dim=2) @ values, (keys, values)

    cache = (torch.zeros(batch, 0, size), torch.zeros(batch, 0, size))
    for part in parts:
        past, new = cache[0].shape[1], part.shape[1]
        given = tuple(tensor.clone() for tensor in cache)
        result = answers.call(function, part, given, *tables)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise Mistake("two_results")
        expected, grown = read(part, cache)

        def wrong(*options, part=part, cache=cache) -> Tensor:
            return read(part, cache, *options)[0]

        mistakes = {
            "open_bug": wrong(lambda past, new: torch.arange(new)),
            "from_one": wrong(lambda past, new: right_places(past, new) + 1),
            "one_place": wrong(lambda past, new: torch.full((new,), past)),
            "from_the_end": wrong(lambda past, new: torch.arange(table - new, table)),
            "no_places": wrong(None),
            "forgets": wrong(right_places, 0, True),
            "looks_ahead": wrong(right_places, new),
            "sees_too_little": wrong(right_places, -past),
        }
        told = {"past": past, "new": new, "last": past + new - 1}
        compare(result[0], expected, mistakes, name="result", **told)
        if not isinstance(result[1], (tuple, list)) or len(result[1]) != 2:
            raise Mistake("two_tensors")
        shapes = {"not_appended": (batch, past, size), "forgets": (batch, new, size)}
        for i, name in enumerate(("keys", "values")):
            turned = torch.cat([grown[i][:, past:], grown[i][:, :past]], dim=1)
            mistakes = {"swapped": grown[1 - i], "in_front": turned, "cache": True}
            compare(result[1][i], grown[i], mistakes, name=name, shapes=shapes, **told)
        cache = grown


class TinyModel:
    """Log-probabilities of the next word, drawn once for each beginning; it counts how often it is asked."""

    def __init__(self, words: int):
        self.words, self.asked, self.drawn = words, 0, {}

    def __call__(self, ids) -> Tensor:
        self.asked += 1
        beginning = tuple(int(i) for i in ids)
        if beginning not in self.drawn:
            self.drawn[beginning] = (0.6 * torch.randn(self.words)).log_softmax(dim=0)
        return self.drawn[beginning].clone()

    def score(self, ids) -> float:
        """The log-probability of a text."""
        return sum(self(ids[:i])[word].item() for i, word in enumerate(ids))


def search(model, length: int, width: int = 2, rank: Callable = lambda old, new: old + new, pick=None) -> list:
    """Beam search: (ids, score) of each beam, the best first. `rank` gives the score, `pick` chooses the beams."""
    beams = [((), 0.0)]
    for _ in range(length):
        longer = [
            ((*ids, word), rank(score, log_p)) for ids, score in beams for word, log_p in enumerate(model(ids).tolist())
        ]
        longer.sort(key=lambda beam: -beam[1])
        beams = pick(longer) if pick else longer[:width]
    return beams


def one_for_each(longer: list) -> list:
    """As if each beam kept one word: the best continuation of each of two beginnings."""
    seen = {}
    for ids, score in longer:
        seen.setdefault(ids[:-1], (ids, score))
    return list(seen.values()) if len(longer[0][0]) > 1 else longer[:2]


@exercise("4.4", trials=8)
def beam_search(function, trial) -> None:
    """The best text of `length` words that beam search with two beams finds"""
    length, words = random_int(4, 5), random_int(5, 6)
    telling = ("greedy", "one_each", "last_only", "adds_probabilities")[trial % 4]  # this mistake shows
    while True:
        model = TinyModel(words)
        (right, score), (second, _) = search(model, length)
        wrong = {
            "greedy": search(model, length, width=1)[0][0],
            "second": second,
            "one_each": search(model, length, pick=one_for_each)[0][0],
            "last_only": search(model, length, rank=lambda old, new: new)[0][0],
            "adds_probabilities": search(model, length, rank=lambda old, new: old + math.exp(new))[0][0],
        }
        others = [text for text in wrong.values() if text != right]
        if wrong[telling] != right and len(others) == len(set(others)):
            break
    wrong["least"] = [ids for ids, _ in search(model, length, pick=lambda longer: longer[-2:])]
    model.asked = 0
    ours = answers.call(function, model, length)
    asked = model.asked
    if isinstance(ours, Tensor):
        ours = ours.tolist()
    if isinstance(ours, (tuple, list)) and len(ours) == 2 and isinstance(ours[0], (tuple, list)):
        raise Mistake("with_score")
    if not isinstance(ours, (tuple, list)) or not all(0 <= answers.as_number("ids", i) < words for i in ours):
        raise Mistake("no_ids", type=type(ours).__name__, words=words)
    ours = tuple(int(i) for i in ours)
    if len(ours) != length:
        raise Mistake("length", wanted=length, came=len(ours))
    if asked > 2 * length:
        raise Mistake("asks_too_much", asked=asked, enough=2 * length - 1, length=length)
    if ours != right:
        told = {"ours": list(ours), "right": list(right), "score": score, "our_score": model.score(ours)}
        answers.explain(ours, wrong, told)


@exercise("4.5")
def without_mask(by_place, because) -> None:
    """The loss at each of eight places on throws of a ten-sided die: 0 where the next throw can be seen, else ln 10"""
    guessing = math.log(10)
    losses = answers.as_tensor(by_place, torch.zeros(8), name="by_place").detach()
    if (losses < 0).any():
        raise Mistake("negative")
    if same(losses, losses[:1].expand(8)):
        raise Mistake("one_number")
    if (losses > 0.8 * guessing).all():
        raise Mistake("masked")
    if found := place(losses[:-1] > 0.1, "place", loss=losses[:-1]):
        raise Mistake("unfinished", **found)
    if abs(losses[-1] - guessing) > 0.3:
        raise Mistake("last_place", loss=losses[-1].item(), guessing=guessing)
    answers.compare_choice(because, "b")

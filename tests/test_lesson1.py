"""The functions of lesson 1, as they stand in its cells, against references of their own."""

import random
from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot, scaled_dot_product_attention
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torchtext.vocab import Vocab

from course.notebooks import run_cells

GRAMMAR = ("nouns", "other-words", "noun-phrase", "clause", "sentence")


@pytest.fixture
def grammar():
    random.seed(1)
    return run_cells("1-attention", *GRAMMAR, random=random)


@pytest.fixture
def additive():
    torch.manual_seed(0)
    return run_cells("1-attention", "bahdanau-attention", nn=nn, torch=torch)["AdditiveAttention"](8).double()


@pytest.fixture
def dot_product_attention():
    return run_cells("1-attention", "dot-product-attention")["dot_product_attention"]


def test_every_latin_word_translates_the_word_at_its_position(grammar):
    forms = {}
    for english, (subject, object_, _) in grammar["NOUNS"].items():
        forms[subject] = forms[object_] = english
    for english, stem in grammar["ADJECTIVES"].items():
        forms |= {stem + ending: english for endings in grammar["ENDINGS"].values() for ending in endings}
    for table in ("TRANSITIVE", "INTRANSITIVE", "ADVERBS", "CONJUNCTIONS"):
        forms |= {latin: english for english, latin in grammar[table].items()}
    for _ in range(300):
        english, latin, positions = grammar["sentence"](3, 20)
        assert 3 <= len(english) <= 20
        assert [forms[word] for word in latin] == [english[position] for position in positions]
        assert len(set(positions)) == len(latin) == len([word for word in english if word != "the"])


def test_adjectives_follow_their_noun_and_agree_and_the_verb_ends_the_clause(grammar):
    masculine = {form for subject, object_, g in grammar["NOUNS"].values() if g == "m" for form in (subject, object_)}
    nouns = {form for subject, object_, _ in grammar["NOUNS"].values() for form in (subject, object_)}
    verbs = set(grammar["TRANSITIVE"].values()) | set(grammar["INTRANSITIVE"].values())
    conjunctions = set(grammar["CONJUNCTIONS"].values())
    adjectives = {s + e for s in grammar["ADJECTIVES"].values() for pair in grammar["ENDINGS"].values() for e in pair}
    for _ in range(300):
        _, latin, _ = grammar["sentence"](3, 20)
        assert latin[-1] in verbs
        for before, word in zip(latin, latin[1:], strict=False):
            assert (before in verbs) == (word in conjunctions)
            if word in adjectives:
                assert before in nouns | adjectives
                if before in nouns:
                    assert word.endswith(("us", "um")) == (before in masculine)


def reference_additive(attention, query, batch, mask):
    """Equations of Bahdanau et al. (2015), one pair of query and key at a time."""
    contexts, rows = [], []
    for q, states, hidden in zip(query, batch, mask, strict=True):
        real = [h for h, may_look in zip(states, hidden, strict=True) if may_look]
        e = torch.stack(
            [attention.v.weight[0] @ torch.tanh(attention.W.weight @ q + attention.U.weight @ h) for h in real]
        )
        alpha = e.exp() / e.exp().sum()
        contexts.append(sum(a * h for a, h in zip(alpha, real, strict=True)))
        rows.append(torch.cat([alpha, alpha.new_zeros(len(states) - len(real))]))
    return torch.stack(contexts), torch.stack(rows)


def random_case(batch=3, source=6, size=8):
    query = torch.randn(batch, size, dtype=torch.double, requires_grad=True)
    states = torch.randn(batch, source, size, dtype=torch.double, requires_grad=True)
    mask = torch.arange(source) < torch.randint(1, source + 1, (batch, 1))
    return query, states, mask


@pytest.mark.parametrize("seed", range(5))
def test_additive_attention_equals_the_equations_gradients_included(additive, seed):
    torch.manual_seed(seed)
    query, states, mask = random_case()
    outputs = [additive(query, additive.U(states), states, mask), reference_additive(additive, query, states, mask)]
    for ours, reference in zip(*outputs, strict=True):
        assert torch.allclose(ours, reference, atol=1e-12)
    leaves = [query, states, *additive.parameters()]
    gradients = [torch.autograd.grad(context.square().sum(), leaves) for context, _ in outputs]
    for ours, reference in zip(*gradients, strict=True):
        assert torch.allclose(ours, reference, atol=1e-10)


def test_additive_attention_gives_padding_nothing_and_learns_nothing_from_it(additive):
    torch.manual_seed(0)
    query, states, mask = random_case()
    mask[0] = torch.tensor([True, True, False, False, False, False])
    context, weights = additive(query, additive.U(states), states, mask)
    assert (weights[~mask] == 0).all()
    assert torch.allclose(weights.sum(dim=1), torch.ones(3, dtype=torch.double))
    (gradient,) = torch.autograd.grad(context.sum(), states)
    assert (gradient[~mask] == 0).all() and (gradient[mask] != 0).any()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["none", "padding", "causal", "both"])
def test_dot_product_attention_equals_torch_gradients_included(dot_product_attention, kind, seed):
    torch.manual_seed(seed)
    batch, targets, size = (int(n) for n in torch.randint(1, 9, (3,)))
    query, key, value = (torch.randn(batch, targets, size, requires_grad=True) for _ in range(3))
    padding = (torch.arange(targets) < torch.randint(1, targets + 1, (batch, 1))).unsqueeze(1)
    causal = torch.ones(targets, targets, dtype=torch.bool).tril()
    mask = {"none": None, "padding": padding, "causal": causal, "both": padding & causal}[kind]
    ours, weights = dot_product_attention(query, key, value, mask)
    theirs = scaled_dot_product_attention(query, key, value, attn_mask=mask)
    assert torch.allclose(ours, theirs, atol=1e-6)
    assert torch.allclose(weights.sum(dim=-1), torch.ones(batch, targets))
    for a, b in zip(*(torch.autograd.grad(o.square().sum(), (query, key, value)) for o in (ours, theirs)), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


@pytest.fixture
def names(grammar):
    torch.manual_seed(0)
    pairs = [grammar["sentence"](3, 12) for _ in range(200)]
    return run_cells(
        "1-attention", "vocabularies", "to-tensors", "encoder", "decoder", "translator", "bahdanau-attention", "fit",
        "word-accuracy", "dot-product-attention", "dot-translator", "alignment", "mark-errors", "aligned-share",
        train_pairs=pairs, random=random, nn=nn, np=np, torch=torch, Counter=Counter, cross_entropy=cross_entropy,
        pack_padded_sequence=pack_padded_sequence, pad_packed_sequence=pad_packed_sequence, pad_sequence=pad_sequence,
    )  # fmt: skip


def test_a_translation_does_not_depend_on_padding_or_on_its_neighbours(names):
    for attention in (None, names["AdditiveAttention"](16), names["DotProductAttention"](16)):
        model = names["Translator"](16, attention)
        source, _ = names["to_tensors"](names["train_pairs"][:8])
        together, _ = model(source, 6)
        for row in range(8):
            alone, _ = model(source[row : row + 1, : (source[row] != 0).sum()], 6)
            assert torch.allclose(alone[0], together[row], atol=1e-5)


class Copyist(nn.Module):
    """A translator that writes what it is told to write, and looks where it is told to look."""

    def __init__(self, written, positions=None, words=100):
        super().__init__()
        self.logits, self.positions, self.targets = one_hot(written, words).float(), positions, []

    def forward(self, source, length, target=None):
        self.targets.append(target)
        start = 200 * (len(self.targets) - 1)  # of the batch, as word_accuracy makes them
        logits = self.logits[start : start + len(source), :length]
        looks = None if self.positions is None else one_hot(self.positions[:, :length], source.shape[1]).unbind(dim=1)
        return logits, looks


def test_word_accuracy_counts_right_words_per_length_over_all_batches(names):
    pairs = names["train_pairs"] + names["train_pairs"][:50]  # two batches
    _, target = names["to_tensors"](pairs)
    accuracy = names["word_accuracy"](Copyist(target[:, 1:]), pairs)
    assert set(accuracy.values()) == {1.0}
    assert list(accuracy) == sorted({len(english) for english, _, _ in pairs})
    assert set(names["word_accuracy"](Copyist(torch.zeros_like(target[:, 1:])), pairs).values()) == {0.0}
    first_wrong = target[:, 1:].clone()
    first_wrong[:, 0] = 0
    for n, share in names["word_accuracy"](Copyist(first_wrong), pairs).items():
        latin = [len(latin) for english, latin, _ in pairs if len(english) == n]
        assert share == pytest.approx(1 - len(latin) / sum(latin))


def test_word_accuracy_shows_the_true_words_only_when_it_is_told_to(names):
    pairs = names["train_pairs"][:20]
    _, target = names["to_tensors"](pairs)
    alone, forced = Copyist(target[:, 1:]), Copyist(target[:, 1:])
    names["word_accuracy"](alone, pairs)
    names["word_accuracy"](forced, pairs, forced=True)
    assert alone.targets == [None] and torch.equal(forced.targets[0], target)


def test_aligned_share_counts_the_words_that_look_at_their_source_and_are_right(names):
    pairs = names["train_pairs"][:20]
    _, target = names["to_tensors"](pairs)
    places = [torch.tensor([*positions, 0]) for _, _, positions in pairs]  # the end mark may look anywhere
    positions = pad_sequence(places, batch_first=True)
    names["test_pairs"] = pairs
    assert names["aligned_share"](Copyist(target[:, 1:], positions)) == 1
    assert names["aligned_share"](Copyist(torch.zeros_like(target[:, 1:]), positions)) == 0  # no word is right
    wrong = positions.clone()
    wrong[:, 0] = 0  # "the": no Latin word comes from it
    words = sum(len(latin) for _, latin, _ in pairs)
    assert names["aligned_share"](Copyist(target[:, 1:], wrong)) == pytest.approx(1 - len(pairs) / words)


def test_an_error_is_marked_with_the_true_word(names):
    names["latin_words"] = list(names["latin_ids"])
    latin = names["train_pairs"][0][1]
    written = torch.tensor([names["latin_ids"][word] for word in latin] + [2, 0])
    assert names["mark_errors"](written, latin) == latin
    written[0] = 2
    assert names["mark_errors"](written, latin) == [f"<end> (✗ {latin[0]})", *latin[1:]]


KINDS = ["last state", "average of states", "average of words", "attention"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_news_reader_weighs_words_and_no_padding(kind):
    torch.manual_seed(0)
    reader = run_cells(
        "1-attention", "bahdanau-attention", "news-reader",
        nn=nn, torch=torch, one_hot=one_hot, vocab=Vocab(Counter("abcdefgh")), classes="1234",
    )["NewsReader"](kind, size=8).eval()  # fmt: skip
    ids = torch.tensor([[2, 3, 4, 5, 1, 1], [6, 7, 8, 9, 2, 3]])  # 1 is <pad>
    (together, weights), alone = reader.read(ids), reader(ids[:1, :4])
    assert together.shape == (2, 4) and torch.equal(reader(ids), together)
    assert torch.allclose(together[0], alone[0], atol=1e-6)
    assert (weights[0, 4:] == 0).all() and torch.allclose(weights.sum(dim=1), torch.ones(2))
    if kind == "last state":
        assert weights[0].tolist() == [0, 0, 0, 1, 0, 0]
    reader.train()(ids).sum().backward()  # no parameter is there that nothing uses
    assert all(parameter.grad is not None for parameter in reader.parameters())

"""The functions of lesson 1, as they stand in its cells, against references of their own."""

import random
from collections import Counter

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention
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


def reference_additive(attention, query, keys, mask):
    """Equations of Bahdanau et al. (2015), one pair of query and key at a time."""
    contexts, rows = [], []
    for q, states, hidden in zip(query, keys, mask, strict=True):
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
    keys = torch.randn(batch, source, size, dtype=torch.double, requires_grad=True)
    mask = torch.arange(source) < torch.randint(1, source + 1, (batch, 1))
    return query, keys, mask


@pytest.mark.parametrize("seed", range(5))
def test_additive_attention_equals_the_equations_gradients_included(additive, seed):
    torch.manual_seed(seed)
    query, keys, mask = random_case()
    outputs = [function(query, keys, mask) for function in (additive, lambda *x: reference_additive(additive, *x))]
    for ours, reference in zip(*outputs, strict=True):
        assert torch.allclose(ours, reference, atol=1e-12)
    leaves = [query, keys, *additive.parameters()]
    gradients = [torch.autograd.grad(context.square().sum(), leaves) for context, _ in outputs]
    for ours, reference in zip(*gradients, strict=True):
        assert torch.allclose(ours, reference, atol=1e-10)


def test_additive_attention_gives_padding_nothing_and_learns_nothing_from_it(additive):
    torch.manual_seed(0)
    query, keys, mask = random_case()
    mask[0] = torch.tensor([True, True, False, False, False, False])
    context, weights = additive(query, keys, mask)
    assert (weights[~mask] == 0).all()
    assert torch.allclose(weights.sum(dim=1), torch.ones(3, dtype=torch.double))
    (gradient,) = torch.autograd.grad(context.sum(), keys)
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
        "word-accuracy", train_pairs=pairs, random=random, nn=nn, torch=torch, cross_entropy=cross_entropy,
        pack_padded_sequence=pack_padded_sequence, pad_packed_sequence=pad_packed_sequence, pad_sequence=pad_sequence,
    )  # fmt: skip


def test_a_translation_does_not_depend_on_padding_or_on_its_neighbours(names):
    for attention in (None, names["AdditiveAttention"](16)):
        model = names["Translator"](16, attention)
        source, _ = names["to_tensors"](names["train_pairs"][:8])
        together, _ = model(source, 6)
        for row in range(8):
            alone, _ = model(source[row : row + 1, : (source[row] != 0).sum()], 6)
            assert torch.allclose(alone[0], together[row], atol=1e-5)


def test_word_accuracy_is_one_for_a_perfect_translation_and_counts_per_length(names):
    pairs = names["train_pairs"][:50]
    source, target = names["to_tensors"](pairs)

    def perfect(source, length):
        return nn.functional.one_hot(target[:, 1:], len(names["latin_ids"])).float(), None

    accuracy = names["word_accuracy"](perfect, pairs)
    assert set(accuracy.values()) == {1.0}
    assert set(accuracy) == {len(english) for english, _, _ in pairs}
    assert set(names["word_accuracy"](lambda s, n: (torch.zeros(len(s), n, 3), None), pairs).values()) == {0.0}


@pytest.mark.parametrize("pooling", ["last state", "average", "attention"])
def test_a_news_reader_does_not_see_padding(pooling):
    torch.manual_seed(0)
    vocab = Vocab(Counter("abcdefgh"))
    reader = run_cells(
        "1-attention", "bahdanau-attention", "news-reader", nn=nn, torch=torch, vocab=vocab, classes="1234"
    )["NewsReader"](pooling, size=8).eval()
    ids = torch.tensor([[2, 3, 4, 5, 1, 1], [6, 7, 8, 9, 2, 3]])  # 1 is <pad>
    together, alone = reader(ids), reader(ids[:1, :4])
    assert together.shape == (2, 4)
    assert torch.allclose(together[0], alone[0], atol=1e-6)
    if pooling == "attention":
        reader(ids)
        assert (reader.weights[0, 4:] == 0).all()

"""The functions and classes of lesson 2, as they stand in its cells, against torch, transformers and equations."""

import json
import math
import random
from collections import Counter

import pytest
import torch
import transformers
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader
from torchtext.vocab import Vocab

import torchnlp
from course.language import SOURCE
from course.notebooks import ROOT, code_cells, read, run_cells

LAYERS = ("split-heads", "self-attention", "block")


@pytest.fixture(scope="module")
def lesson():
    return run_cells(
        "2-transformers", "sinusoidal-positions", *LAYERS, "copy-attention", "embeddings", "bert", "names", nn=nn,
        torch=torch,
    )  # fmt: skip


def random_mask(batch, tokens):
    """(batch, tokens), True at the real positions, at least one in each row"""
    return torch.arange(tokens) < torch.randint(1, tokens + 1, (batch, 1))


def test_sinusoidal_positions_follow_the_equation(lesson):
    encodings = lesson["sinusoidal_positions"](20, 12)
    assert encodings.shape == (20, 12)
    for p in range(20):
        for i in range(6):
            angle = p / 10000 ** (2 * i / 12)
            assert math.isclose(encodings[p, 2 * i], math.sin(angle), abs_tol=1e-5)
            assert math.isclose(encodings[p, 2 * i + 1], math.cos(angle), abs_tol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_self_attention_equals_torch_gradients_included(lesson, seed):
    torch.manual_seed(seed)
    batch, tokens, heads = (int(n) for n in torch.randint(1, 7, (3,)))
    hidden_size = heads * int(torch.randint(2, 9, ()))
    ours = lesson["SelfAttention"](hidden_size, heads).eval()
    theirs = nn.MultiheadAttention(hidden_size, heads, batch_first=True)
    lesson["copy_attention"](ours, theirs)
    x, real = torch.randn(batch, tokens, hidden_size, requires_grad=True), random_mask(batch, tokens)

    out = ours(x, real[:, None, None, :])
    expected, weights = theirs(x, x, x, key_padding_mask=~real, average_attn_weights=False)
    assert torch.allclose(out, expected, atol=1e-5)
    assert torch.allclose(ours.attention_weights(x, real[:, None, None, :]), weights, atol=1e-6)
    for a, b in zip(*(torch.autograd.grad(o.square().sum(), x) for o in (out, expected)), strict=True):
        assert torch.allclose(a, b, atol=1e-4)


def torch_layer(lesson, block, hidden_size, heads, intermediate_size):
    theirs = nn.TransformerEncoderLayer(
        hidden_size, heads, intermediate_size, dropout=0.0, activation="gelu", layer_norm_eps=1e-12, batch_first=True
    )
    lesson["copy_attention"](block.attention, theirs.self_attn)
    pairs = {"linear1": block.feed_forward[0], "linear2": block.feed_forward[2], "norm1": block.norm1}
    for name, layer in (pairs | {"norm2": block.norm2}).items():
        getattr(theirs, name).load_state_dict(layer.state_dict())
    return theirs


@pytest.mark.parametrize("seed", range(5))
def test_block_equals_torch_gradients_included(lesson, seed):
    torch.manual_seed(seed)
    batch, tokens, heads = (int(n) for n in torch.randint(1, 7, (3,)))
    hidden_size = heads * int(torch.randint(2, 9, ()))
    ours = lesson["Block"](hidden_size, heads, 3 * hidden_size, dropout=0.0)
    theirs = torch_layer(lesson, ours, hidden_size, heads, 3 * hidden_size)
    x, real = torch.randn(batch, tokens, hidden_size, requires_grad=True), random_mask(batch, tokens)

    outs = ours(x, real[:, None, None, :])[real], theirs(x, src_key_padding_mask=~real)[real]
    assert torch.allclose(*outs, atol=1e-5)
    target = torch.randn_like(outs[0])
    input_gradients = []
    for out in outs:
        x.grad = None
        (out * target).sum().backward()
        input_gradients.append(x.grad)
    assert torch.allclose(*input_gradients, atol=1e-4)
    linear = ours.feed_forward
    for a, b in [
        (linear[0].weight, theirs.linear1.weight), (linear[2].bias, theirs.linear2.bias),
        (ours.norm1.weight, theirs.norm1.weight), (ours.norm2.bias, theirs.norm2.bias),
        (ours.attention.out.weight, theirs.self_attn.out_proj.weight),
    ]:  # fmt: skip
        assert torch.allclose(a.grad, b.grad, atol=1e-4)
    attention = ours.attention
    three = torch.cat([layer.weight.grad for layer in (attention.query, attention.key, attention.value)])
    assert torch.allclose(three, theirs.self_attn.in_proj_weight.grad, atol=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_bert_equals_transformers_for_any_configuration(lesson, seed):
    rng = random.Random(seed)
    heads = rng.randint(1, 4)
    config = transformers.BertConfig(
        vocab_size=rng.randint(50, 200), hidden_size=heads * rng.randint(2, 16), num_attention_heads=heads,
        num_hidden_layers=rng.randint(1, 5), intermediate_size=rng.randint(8, 100), type_vocab_size=rng.randint(1, 3),
        max_position_embeddings=rng.randint(20, 40), layer_norm_eps=10 ** -rng.randint(5, 12),
    )  # fmt: skip
    torch.manual_seed(seed)
    reference = transformers.BertModel(config).eval()
    for parameter in reference.parameters():  # fresh weights are nearly zero, and biases are: a weak test
        nn.init.normal_(parameter, std=0.3)
    bert = lesson["Bert"](config).eval()
    bert.load_state_dict({lesson["our_name"](name): tensor for name, tensor in reference.state_dict().items()})

    ids = torch.randint(0, config.vocab_size, (4, 20))
    segments = torch.randint(0, config.type_vocab_size, (4, 20))
    mask = random_mask(4, 20).long()
    with torch.inference_mode():
        hidden, pooled = bert(ids, mask, segments)
        theirs = reference(ids, attention_mask=mask, token_type_ids=segments)
        assert torch.allclose(hidden, theirs.last_hidden_state, atol=1e-4)
        assert torch.allclose(pooled, theirs.pooler_output, atol=1e-4)
        assert torch.allclose(bert(ids, mask)[0], reference(ids, attention_mask=mask).last_hidden_state, atol=1e-4)


def test_the_whole_encoder_can_be_read_in_a_hundred_lines():
    cells = {cell.id: cell.source for cell in code_cells(read(SOURCE, "2-transformers"))}
    assert sum(len(cells[id].splitlines()) for id in (*LAYERS, "embeddings", "bert")) <= 100


@pytest.mark.parametrize(("layers", "hidden_size", "vocabulary"), [(1, 8, 11), (3, 32, 500), (12, 768, 30522)])
def test_counted_parameters_are_those_of_the_model(layers, hidden_size, vocabulary):
    count = run_cells("2-transformers", "count")["count_parameters"](layers, hidden_size, vocabulary, 40, 3)
    config = transformers.BertConfig(
        vocab_size=vocabulary, hidden_size=hidden_size, num_hidden_layers=layers, num_attention_heads=4,
        intermediate_size=4 * hidden_size, max_position_embeddings=40, type_vocab_size=3,
    )  # fmt: skip
    with torch.device("meta"):
        model = transformers.BertModel(config)
    assert sum(count.values()) == sum(p.numel() for p in model.parameters())
    assert count["embeddings"] == sum(p.numel() for p in model.embeddings.parameters())
    assert count["pooler"] == sum(p.numel() for p in model.pooler.parameters())


def test_both_ways_gives_each_text_and_its_reverse_before_padding():
    *_, vocab = torchnlp.load_dataset(root="sample", min_freq=10)
    both_ways = run_cells(
        "2-transformers", "both-ways", torch=torch, encode=torchnlp.encode, pad_sequence=pad_sequence, vocab=vocab,
        WINDOW=4, PAD=1,
    )["both_ways"]  # fmt: skip
    labels, ids = both_ways([(1, "the game"), (2, "in the first half of the year")])
    assert labels.tolist() == [0, 0, 1, 1]
    assert ids.shape == (4, 4)
    assert ids[0, 2:].tolist() == [1, 1] and ids[2].tolist() == [*ids[0, :2].flip(0).tolist(), 1, 1]
    assert torch.equal(ids[3], ids[1].flip(0))


@pytest.fixture(scope="module")
def classifiers(lesson):
    names = dict(lesson, vocab=range(50), PAD=1, WINDOW=16, device=torch.device("cpu"))
    return run_cells("2-transformers", "classifier", "no-residual", "take-away", **names)


PARTS = ["complete", "one head, not 4", "feed-forward 1x, not 4x", "no feed-forward", "no residual", "no layer norm",
         "no scaling", "no positions"]  # fmt: skip


def test_every_part_that_can_be_taken_away_is_tested(classifiers):
    assert list(classifiers["PARTS"]) == PARTS


@pytest.mark.parametrize("part", PARTS)
def test_the_model_with_a_part_taken_away_lacks_just_that(classifiers, part):
    torch.manual_seed(0)
    net = classifiers["model_with"](part).eval()
    ids = torch.randint(2, 50, (3, 10))
    if part != "no residual":  # without it all words become one, and their order shows little
        assert torch.allclose(net(ids), net(ids.flip(1)), atol=1e-5) == (part == "no positions")
    norms = [layer for layer in net.modules() if isinstance(layer, nn.LayerNorm)]
    assert bool(norms) == (part != "no layer norm")
    for block in net.blocks:
        assert (block.attention.scale == 1) == (part == "no scaling")
        assert block.attention.num_heads == (1 if part == "one head, not 4" else 4)
        assert block.feed_forward[0].out_features == (64 if part == "feed-forward 1x, not 4x" else 256)
        assert (type(block).__name__ == "NoResidual") == (part == "no residual")
        x = torch.randn(1, 1, 64)
        before = block(x)
        nn.init.normal_(block.feed_forward[2].weight)
        assert torch.equal(before, block(x)) == (part == "no feed-forward")


def test_a_classifier_does_not_see_padding(classifiers):
    torch.manual_seed(0)
    net = classifiers["Classifier"](4, num_layers=2).eval()
    ids = torch.randint(2, 50, (2, 10))
    padded = nn.functional.pad(ids, (0, 5), value=1)
    assert torch.allclose(net(ids), net(padded), atol=1e-5)


def test_patterns_mark_the_places_they_are_named_after():
    patterns = run_cells("2-transformers", "patterns", torch=torch)["patterns"](["[CLS]", "a", "b", "a", ".", "[SEP]"])
    looks = {name: [[i, j] for i, j in pattern.nonzero().tolist()] for name, pattern in patterns.items()}
    assert looks["itself"] == [[i, i] for i in range(6)]
    assert looks["previous piece"] == [[i, i - 1] for i in range(1, 6)]
    assert looks["next piece"] == [[i, i + 1] for i in range(5)]
    assert looks["the same piece elsewhere"] == [[1, 3], [3, 1]]
    assert looks["[CLS]"] == [[i, 0] for i in range(1, 6)]
    assert looks[". or , or [SEP]"] == [[i, j] for i in range(6) for j in (4, 5) if i != j]


def test_pattern_scores_average_over_real_pieces_only():
    """One made-up head that always looks back and one that spreads its weight."""
    back = torch.eye(5).roll(1, dims=0)
    weights = torch.stack([back, torch.full((5, 5), 0.2)]).unsqueeze(0)  # (1 layer, 2 heads, 5, 5)
    names = run_cells(
        "2-transformers", "patterns", "pattern-scores", torch=torch,
        attention_of=lambda text: (["[CLS]", "a", "b", "a", "[SEP]"], weights),
    )  # fmt: skip
    scores, chance = names["pattern_scores"](["any", "text"])
    assert torch.allclose(scores["previous piece"], torch.tensor([[1.0, 0.2]]))
    assert torch.allclose(scores["next piece"], torch.tensor([[0.0, 0.2]]))
    assert torch.allclose(scores["the same piece elsewhere"], torch.tensor([[0.0, 0.2]]))
    assert torch.allclose(scores["[CLS]"], torch.tensor([[1 / 3, 0.2]]))
    assert all(math.isclose(chance[name], 0.2, abs_tol=1e-6) for name in ("previous piece", "[CLS]"))


def test_mask_words_follows_the_rule_of_15_80_10_10():
    torch.manual_seed(0)
    mask_words = run_cells("2-transformers", "mask-words", torch=torch, FIRST=2, MASK=1000)["mask_words"]
    ids = torch.randint(0, 1000, (400, 100))
    read, chosen = mask_words(ids.clone())
    assert not chosen[ids < 2].any()  # neither <unk> nor <pad>
    assert torch.equal(read[~chosen], ids[~chosen])
    assert abs(chosen[ids >= 2].float().mean() - 0.15) < 0.01
    masked, kept = read[chosen] == 1000, read[chosen] == ids[chosen]
    assert abs(masked.float().mean() - 0.8) < 0.02 and abs(kept.float().mean() - 0.1) < 0.02
    swapped = read[chosen][~masked & ~kept]
    assert swapped.min() >= 2 and swapped.max() < 1000 and len(swapped.unique()) > 300


def test_the_masked_loss_reads_only_the_chosen_places(lesson):
    torch.manual_seed(0)
    names = run_cells("2-transformers", "masked-model", **dict(lesson, PAD=1))
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    model = names["MaskedWords"](config).eval()
    read = torch.randint(2, 30, (2, 6))
    chosen = torch.zeros(2, 6, dtype=torch.bool)
    chosen[0, 2] = chosen[1, 4] = True
    scores = model(read, chosen)
    assert scores.shape == (2, 30)
    hidden, _ = model.bert(read, read != 1)
    table = model.bert.embeddings.words.weight
    assert torch.allclose(scores[1], table @ hidden[1, 4] + model.bias, atol=1e-5)


def test_attention_of_gives_the_weights_of_the_library(lesson):
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16
    )
    reference = transformers.BertModel(config, add_pooling_layer=True).eval()
    reference.set_attn_implementation("eager")
    bert = lesson["Bert"](config).eval()
    bert.load_state_dict({lesson["our_name"](name): tensor for name, tensor in reference.state_dict().items()})
    ids = torch.randint(0, 30, (1, 7))

    class Tokenizer:
        def __call__(self, text, **_):
            return transformers.BatchEncoding({"input_ids": ids, "token_type_ids": torch.zeros_like(ids)})

        def convert_ids_to_tokens(self, row):
            return row.tolist()

    names = run_cells(
        "2-transformers", "attention-of", **dict(lesson, bert=bert, bert_tokenizer=Tokenizer(), WINDOW=64)
    )
    pieces, weights = names["attention_of"]("any text")
    assert pieces == ids[0].tolist()
    assert torch.allclose(weights, torch.cat(reference(ids, output_attentions=True).attentions), atol=1e-6)


def test_shares_of_first_find_the_head_that_follows_the_meaning_and_only_that_one():
    names = run_cells("2-transformers", "it-pairs", "it-shares", torch=torch)
    meant = {}  # {sentence: the noun that "it" means}
    for pair in names["pairs_of_sentences"]:
        sentences, nouns = names["versions"](pair)
        one, other = (sentence.split() for sentence in sentences)
        assert one[:-1] == other[:-1] and one[-1] != other[-1]
        meant |= dict(zip(sentences, nouns, strict=True))
    assert len(meant) == 48  # no sentence twice

    def attention_of(text):
        pieces = text.split()
        weights = torch.full((2, 2, len(pieces), len(pieces)), 1 / len(pieces))
        weights[1, 0, pieces.index("it"), pieces.index(meant[text])] *= 3
        return pieces, weights

    names["shares_of_first"].__globals__["attention_of"] = attention_of
    for pair in names["pairs_of_sentences"]:
        assert names["shares_of_first"](pair).flatten().tolist() == pytest.approx(
            [0.5, 0.5, 0.75, 0.5, 0.5, 0.5, 0.25, 0.5]
        )
        assert (names["shares_of_first"](pair, "because") == 0.5).all()


def test_the_baseline_of_neighbours_counts_pairs(lesson):
    counts = Counter("a b c a b c a d c".split())
    names = run_cells(
        "2-transformers", "text-batches", "masked-neighbours", "masked-contestants",
        torch=torch, nn=nn, DataLoader=DataLoader, padify=torchnlp.padify, train=[(1, "a b c a b c a d c")],
        counts=counts, frequent=Vocab(counts), MASK=6, FIRST=2, PAD=1, WINDOW=64, changes={"prior=10": "prior=0.1"},
    )  # fmt: skip
    a, c, b, d = (names["frequent"].stoi[word] for word in "acbd")
    read, chosen = torch.tensor([[a, 6, c]]), torch.tensor([[False, True, False]])
    probability = names["neighbours"](read, chosen).softmax(dim=1)[0]
    prior = {b: 0.1 * 2 / 9, d: 0.1 * 1 / 9}
    follows_a, before_c = (
        {b: (2 + prior[b]) / 3.1, d: (1 + prior[d]) / 3.1},
        {b: (2 + prior[b]) / 3.1, d: (1 + prior[d]) / 3.1},
    )
    expected = follows_a[b] * before_c[b] / (2 / 9) / (follows_a[d] * before_c[d] / (1 / 9))
    assert math.isclose(probability[b] / probability[d], expected, rel_tol=1e-3)
    assert probability[:2].sum() < 1e-6  # <unk> and <pad> are never guessed
    assert names["frequencies"](read, chosen).softmax(dim=1)[0, a].item() == pytest.approx(3 / 9, abs=1e-4)


def test_the_stored_ablation_has_the_parts_and_models_of_the_lesson(classifiers):
    runs = json.loads((ROOT / "scripts" / "ablation.json").read_text(encoding="utf-8"))["runs"]
    models = run_cells("2-transformers", "recurrent", "topics-models", **dict(classifiers))["topic_models"]()
    assert [run["seed"] for run in runs] == list(range(5))
    for run in runs:
        assert list(run["parts"]) == list(classifiers["PARTS"]) and list(run["topics"]) == list(models)
        assert all(len(figures["loss"]) == 16 for figures in (run["parts"] | run["deep"]).values())

"""Sizes that do not fit each other, and settings without effect, are refused with a sentence."""

import pytest

from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Padded
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from tests.conformance.variants import TOKENS, batch

OTHER = TokenSpec(size=11, pad=0, unknown=1, start=2, end=3, fingerprint="other")
VALUES = ValueSpec(channels=2)

REFUSED = [
    ("lstm", {"dim": 7}, (TOKENS, TOKENS), "`model.dim` must be even for a bidirectional encoder, but is 7."),
    (
        "lstm",
        {"attention": "multi_head", "dim": 8, "attention_heads": 3},
        (TOKENS, TOKENS),
        "`model.attention_heads` must divide `model.dim` (8), but is 3.",
    ),
    ("lstm", {"variational_dropout": True, "input_feeding": True}, (TOKENS, TOKENS), "`model.variational_dropout` must be false with"),
    ("lstm", {"attention": "none", "input_feeding": True}, (TOKENS, TOKENS), "`model.input_feeding` has no effect without attention."),
    ("lstm", {"attention": "none", "bridge": "zero"}, (TOKENS, TOKENS), "`model.bridge` must not be `zero` without attention"),
    ("lstm", {"embedding_dim": 8}, (VALUES, VALUES), "`model.embedding_dim` has no effect on real-valued sequences."),
    ("lstm", {"encoder_layers": 0}, (TOKENS, TOKENS), "`model.encoder_layers` must be at least 1, but is 0."),
    (
        "lstm",
        {"tied_embeddings": "all"},
        (TOKENS, OTHER),
        "`model.tied_embeddings` must be `decoder` or `none` unless source and target share one",
    ),
    (
        "lstm",
        {"tied_embeddings": "decoder", "dim": 8, "embedding_dim": 6},
        (TOKENS, TOKENS),
        "Tied embeddings must be as wide as what the head reads (8)",
    ),
    ("lstm", {"head": {"name": "point"}}, (TOKENS, TOKENS), "`model.head.name` must be `categorical` when the target is made of symbols"),
    ("transformer", {"dim": 8, "heads": 3}, (TOKENS, TOKENS), "`model.heads` must divide `model.dim` (8), but is 3."),
    (
        "transformer",
        {"heads": 4, "key_value_heads": 3},
        (TOKENS, TOKENS),
        "`model.key_value_heads` must divide `model.heads` (4), but is 3.",
    ),
    ("transformer", {"dim": 6, "heads": 2, "positions": "rotary"}, (TOKENS, TOKENS), "must be even for rotary positions, but is 3."),
    ("transformer", {"decoder_layers": 0}, (TOKENS, TOKENS), "`model.decoder_layers` must be at least 1, but is 0."),
    (
        "transformer",
        {"tied_embeddings": "all"},
        (TOKENS, OTHER),
        "`model.tied_embeddings` must be `decoder` or `none` unless source and target share one",
    ),
    ("transformer", {"tied_embeddings": "all"}, (VALUES, VALUES), "`model.tied_embeddings` must be `decoder` or `none`"),
]


@pytest.mark.parametrize(("name", "settings", "specs", "sentence"), REFUSED, ids=[f"{name}-{settings}" for name, settings, _, _ in REFUSED])
def test_refused(name, settings, specs, sentence):
    plugin = registry.find("models", name)
    with pytest.raises(ConfigError) as caught:
        plugin.build(validate(plugin.Config, settings, path="model"), *specs)
    assert str(caught.value).startswith(sentence) or sentence in str(caught.value)


def test_learned_positions_end_somewhere():
    plugin = registry.find("models", "transformer")
    model = plugin.build(plugin.Config(dim=8, heads=2, positions="learned", max_positions=6), TOKENS, TOKENS)
    data = batch("tokens", 0, source=(7, 2, 3), target=(3, 3, 3))
    with pytest.raises(ConfigError, match=r"`model\.max_positions` must be at least the length of the longest sequence \(7\), but is 6"):
        model.encode(data.source)
    memory = model.encode(Padded(data.source.values[:, :6], data.source.lengths.clamp(max=6)))
    with pytest.raises(ConfigError, match=r"\(9\), but is 6"):
        model.init_state(memory, 1, 9)

"""What a model says of itself is true: how much it reads and says, whether it gives attention, and whether it copies."""

from typing import Any

import pytest
import torch

from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Padded
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.errors import AntiphonError
from tests.conformance.variants import SPECS, Variant, every_variant_and_data, fresh

MANY = 40  # more than own variants have positions for

LEARNED = {"positions": "learned", "max_positions": 5}
SIZES = {"d_model": 8, "encoder_ffn_dim": 12, "decoder_ffn_dim": 12, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
LED = {"attention_window": [4, 4], "max_encoder_position_embeddings": 14, "max_decoder_position_embeddings": 6}  # three windows and a bit


def _pretrained(family: str, **settings: Any) -> Variant:
    described = {"model_type": family, **SIZES, "encoder_layers": 2, "decoder_layers": 1, **settings}
    return Variant("pretrained", family, {"path": "none", "description": described})


OTHERS = [
    (Variant("transformer", "learned, subsampling", {**LEARNED, "subsampling": 4, "subsampling_width": 8}), "values to tokens"),
    (Variant("transformer", "learned, patches", {**LEARNED, "patch_length": 4, "patch_stride": 3}), "values to tokens"),
    (Variant("transformer", "learned, chunks", {**LEARNED, "chunk_length": 2}), "tokens"),
    (Variant("transformer", "learned, channel-independent", {**LEARNED, "channels": "independent"}), "values"),
    (Variant("transformer", "learned, ssru", {**LEARNED, "decoder": "ssru"}), "tokens"),
    (Variant("decoder_only", "learned", {"decoder": {"name": "transformer", **LEARNED, "dim": 8, "layers": 1, "heads": 2}}), "text"),
    (_pretrained("pegasus", max_position_embeddings=6), "tokens"),
    (_pretrained("led", **LED), "tokens"),
]


def sequence(spec: Spec, length: int) -> Padded:
    lengths = torch.tensor([length, max(1, length - 1)])
    if isinstance(spec, TokenSpec):
        return Padded(torch.full((2, length), spec.end + 1), lengths)
    return Padded(torch.ones(2, length, spec.width), lengths)


def read(model: Seq2SeqModel, length: int) -> None:
    model.encode(sequence(model.source, length))


def say(model: Seq2SeqModel, length: int) -> None:
    model.decode(sequence(model.target, length), model.encode(sequence(model.source, 2)))


def check(model: Seq2SeqModel) -> None:
    for longest, use in ((model.longest_source, read), (model.longest_target, say)):
        use(model, MANY if longest is None else longest)
        if longest is not None:
            with pytest.raises((AntiphonError, IndexError)):
                use(model, longest + 1)
    memory = model.encode(sequence(model.source, 3))
    output = model.decode(sequence(model.target, 2), memory, attention=True)
    assert model.gives_attention == (output.attention is not None)
    assert model.copies == (memory.copyable is not None)


@every_variant_and_data(whole=True)
@torch.no_grad()
def test_it_reads_and_says_as_much_as_it_promises_and_no_more(variant, kind, seed):
    check(fresh(variant, seed, *SPECS[kind]).eval())


@pytest.mark.parametrize(("variant", "kind"), OTHERS, ids=[variant.id for variant, _ in OTHERS])
@torch.no_grad()
def test_so_do_those_whose_positions_are_not_those_of_elements(variant, kind, seed):
    model = fresh(variant, seed, *SPECS[kind]).eval()
    assert model.longest_target is not None, "or the test shows nothing"
    check(model)

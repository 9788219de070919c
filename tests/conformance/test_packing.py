"""Several pairs in one row: the same losses and gradients as with a row for each, or a refusal, for every architecture."""

from dataclasses import replace

import pytest
import torch

from antiphon.contracts.loss import LossSum
from antiphon.contracts.sequences import Padded
from antiphon.data.batching import BatchingConfig
from antiphon.errors import ConfigError
from antiphon.training.batches import check_packing
from antiphon.training.decoder_inputs import TeacherForcingConfig
from antiphon.training.learner import Learner
from tests.conformance.variants import batch, build, close, every_variant_and_data, loss_of, variants

# What these settings do, they do to a row.
APART = {"window", "chunk_length", "wait_k", "patch_length", "subsampling", "channels"}


def packs(variant):
    settings = variant.settings.get("model", {}) if variant.architecture == "adapted" else variant.settings
    if settings.get("name", variant.architecture) != "transformer":
        return False
    return not (APART & {*settings} or settings.get("decoder") == "ssru" or "head" in settings)


class Summed:
    """The loss of `gradients`, and attention beside it, as losses that look at it would have it."""

    reads_attention = True

    def __call__(self, output, labels, weights=None):
        total = loss_of(output, labels)
        if output.attention is not None:
            total = total + (output.attention.square().sum(-1) * labels.mask).sum()
        return LossSum(total, torch.zeros(len(labels.lengths)))


def learned(model, data):
    """The loss and the gradients of an update."""
    model.zero_grad()
    total, _ = Learner(model, Summed(), TeacherForcingConfig())(data, 0)
    total.backward()
    return total.detach(), {name: one.grad for name, one in model.named_parameters() if one.grad is not None}


def rows_of_several(data, seed):
    """Seven pairs of different lengths, which stand in fewer rows."""
    generator = torch.Generator().manual_seed(seed)
    index = torch.tensor([0, 1, 2, 0, 1, 2, 1])
    many = data.select_rows(index)
    assert many.target is not None
    sources, targets = (side.values.shape[1] for side in (many.source, many.target))
    of_sources, of_targets = (torch.randint(2, longest + 1, (7,), generator=generator) for longest in (sources, targets))
    of_sources[2:4], of_targets[2:4] = 1, 2  # so that there is room beside the others
    several = replace(
        many,
        source=Padded(many.source.values, of_sources),
        target=Padded(many.target.values, of_targets),
        records=tuple(range(7)),
    ).select_rows(torch.arange(7))
    packed = several.packed()
    assert packed.packing is not None
    assert len(packed.packing.source.lengths) < 7
    return several, packed


@every_variant_and_data()
def test_losses_and_gradients_are_those_of_a_row_for_each_pair(variant, kind, seed):
    model = build(variant, seed, kind).train()
    settings = BatchingConfig(pack=True)
    if not packs(variant):
        with pytest.raises(ConfigError, match=r"`training\.batching\.pack` must be left out for this \w+, which cannot keep the pairs"):
            check_packing(settings, TeacherForcingConfig(), model)
        return
    check_packing(settings, TeacherForcingConfig(), model)
    several, packed = rows_of_several(batch(kind, seed), seed)
    (expected, of_each), (found, of_packed) = learned(model, several), learned(model, packed)
    close(found, expected)
    assert of_packed.keys() == of_each.keys()
    for name, gradient in of_each.items():
        close(of_packed[name], gradient)


def test_most_transformers_pack():
    assert len([variant for variant in variants() if packs(variant)]) >= 18

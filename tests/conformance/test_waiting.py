"""An update of a model on a GPU is given to it without waiting for it: nothing is read from the device, on a device that tells."""

import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

from antiphon.contracts import registry
from antiphon.contracts.sequences import Batch, Padded, to_device
from antiphon.contracts.specs import TokenSpec
from antiphon.training.average import MovingAverage
from antiphon.training.decoder_inputs import TeacherForcingConfig
from antiphon.training.distributed import Ranks
from antiphon.training.optimizers import AdafactorConfig, AdamWConfig, SGDConfig, build_optimizer
from antiphon.training.results import read
from antiphon.training.step import Update
from tests.conformance.variants import SPECS, Variant, batch, fresh, variants
from tests.distant_device import ELSEWHERE, moved, waits_of_a_distant_device

# These wait, for reasons of their own, which docs/training.md tells.
WAITING = {"chronos_bolt", "pretrained", "encoder_only"}
FIRST = {variant.architecture: variant.id for variant in reversed(variants())}
LOSSES = {"gaussian": "negative_log_likelihood", "quantile": "pinball", "pointer": "pointer"}


def weighted_batch(kind: str) -> Batch:
    """A batch in single precision, as loaders make it, with targets that end."""
    data, target = batch(kind, 1, source=(9, 5, 8)), SPECS[kind][1]
    assert data.target is not None
    if isinstance(target, TokenSpec):
        data.target.values[torch.arange(3), data.target.lengths - 1] = target.end

    def of(side: Padded) -> Padded:
        return replace(side, values=side.values.float()) if side.values.is_floating_point() else side

    return replace(data, source=of(data.source), target=of(data.target), weights=torch.tensor([1.0, 0.5, 2.0]))


def loss_for(variant: Variant, kind: str) -> Any:
    """What is natural for the variant."""
    target = SPECS[kind][1]
    head = variant.settings.get("head", {})
    name = {"encoder_only": "ctc", "chronos_bolt": "pinball"}.get(variant.architecture)
    name = name or LOSSES.get(head if isinstance(head, str) else head.get("name", ""), "")
    plugin = registry.find("losses", name or ("cross_entropy" if isinstance(target, TokenSpec) else "squared_error"))
    return plugin.build(plugin.Config(), target)


def update_elsewhere(variant: Variant, kind: str, monkeypatch: pytest.MonkeyPatch, optimizer: Any = None) -> Update:
    """An update of a model that is on the distant device, which fused kernels are to take for one of theirs."""
    for module in [
        one for name, one in sys.modules.items() if name.startswith("torch.") and "_get_fused_kernels_supported_devices" in vars(one)
    ]:
        monkeypatch.setattr(module, "_get_fused_kernels_supported_devices", lambda: ["cpu", "meta"])
    model = moved(fresh(variant, 1, *SPECS[kind]).train())
    return Update.of(
        model,  # type: ignore[arg-type]
        loss_for(variant, kind),
        build_optimizer(optimizer or AdamWConfig(), model),
        Ranks(0, 1, ELSEWHERE),
        inputs=TeacherForcingConfig(),
        clip_norm=1.0,
        precision="fp32",
        seed=1,
    )


def chosen() -> list[Any]:
    """Each architecture, and in the slow tests each variant, with the first kind of its data."""
    return [
        pytest.param(
            variant, next(iter(variant.specs)), id=variant.id, marks=[pytest.mark.slow] * (FIRST[variant.architecture] != variant.id)
        )
        for variant in variants()
        if variant.architecture != "transducer"  # it waits, and asks torch for precisions of devices, which that of this test is none of
    ]


@pytest.mark.filterwarnings("ignore:CTC learns nothing")
@pytest.mark.parametrize(("variant", "kind"), chosen())
def test_an_update_is_given_to_the_device_without_waiting(variant: Variant, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = weighted_batch(kind)
    update = update_elsewhere(variant, kind, monkeypatch)
    average = MovingAverage(update.learner.model, 0.9)
    with waits_of_a_distant_device() as waits:
        pending = [update.begin([data], step, 1.0) for step in range(2)]
        average.update(update.learner.model, 1, pending[0].skipped)
        updating = list(waits)
        results = read(pending, update.ranks)
    if variant.architecture in WAITING:
        assert updating, "it may be left out of WAITING, and of docs/training.md"
    else:
        assert updating == []
        assert len(waits) == 1, "once for both"
    assert results[1].loss != results[0].loss, "it learns there"
    here = fresh(variant, 1, *SPECS[kind]).train()
    plain = Update.of(
        here,
        loss_for(variant, kind),
        build_optimizer(AdamWConfig(), here),
        Ranks(0, 1, torch.device("cpu")),
        inputs=TeacherForcingConfig(),
        clip_norm=1.0,
        precision="fp32",
        seed=1,
    )
    expected = [plain([data], step, 1.0) for step in range(2)]
    assert [one.loss for one in results] == pytest.approx([one.loss for one in expected], rel=1e-4), "what it learns here"


@pytest.mark.parametrize("optimizer", [AdafactorConfig(), SGDConfig()], ids=lambda one: one.name)
def test_other_optimizers_wait_once(optimizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    variant = next(one for one in variants() if one.architecture == "transformer")
    update = update_elsewhere(variant, "tokens", monkeypatch, optimizer)
    with waits_of_a_distant_device() as waits:
        update.begin([weighted_batch("tokens")], 0, 1.0)
    assert len(waits) == 1
    assert waits[0].startswith("training/optimizers.py")


def test_the_distant_device_tells_what_waits() -> None:
    with waits_of_a_distant_device() as waits:
        numbers = to_device(torch.arange(4.0), ELSEWHERE)
        assert waits == []
        assert float(numbers.sum()) == 6
        assert len(numbers[numbers > 1]) == 2
        assert numbers.nonzero().shape == (3, 1)
        assert numbers.cpu().tolist() == numbers.tolist() == [0, 1, 2, 3]
        numbers + torch.ones(4).to(ELSEWHERE)
    operations = [one.split()[1] for one in waits]
    assert operations == [
        "aten._local_scalar_dense.default",
        "aten.index.Tensor",
        "aten.nonzero.default",
        *["aten._to_copy.default"] * 3,
    ]

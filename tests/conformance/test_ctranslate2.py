"""CTranslate2 says what every variant of the Transformer says, all at once and step by step, or the variant is refused by name."""

from pathlib import Path

import pytest
import torch

from antiphon.contracts.engine import Exported
from antiphon.contracts.sequences import map_tensors, select_rows
from antiphon.engines.ctranslate2 import plugin
from antiphon.errors import ExportError
from antiphon.exporters.ctranslate2 import check, write_transformer
from antiphon.exporters.graphs import facts_of
from antiphon.models.transformer import Transformer
from tests.conformance.variants import Variant, batch, build, variants

OURS = [variant for variant in variants() if variant.architecture == "transformer" and "tokens" in variant.specs]
TOLERANCE = 1e-4
CANNOT = ("head", "decoder", "positions", "window", "chunk_length", "wait_k", "ctc")


def cannot(variant: Variant) -> bool:
    settings = variant.settings
    return (
        any(settings.get(name) for name in ("window", "chunk_length", "wait_k", "head"))
        or settings.get("decoder") == "ssru"
        or settings.get("positions") == "relative"
    )


@pytest.mark.parametrize("variant", [one for one in OURS if cannot(one)], ids=lambda variant: variant.id)
def test_what_it_would_compute_otherwise_is_refused(variant: Variant, seed: int) -> None:
    model = build(variant, seed)
    assert isinstance(model, Transformer)
    with pytest.raises(ExportError, match=rf"needs `model\.({'|'.join(CANNOT)})` to be .*, but it is .*onnx"):
        check(model)


@pytest.mark.parametrize("variant", [one for one in OURS if not cannot(one)], ids=lambda variant: variant.id)
@torch.no_grad()
def test_it_says_what_the_model_says(variant: Variant, seed: int, tmp_path: Path) -> None:
    model = build(variant, seed).float()
    assert isinstance(model, Transformer)
    check(model)
    write_transformer(model, tmp_path, 32, "float32")
    theirs = plugin.open(Exported(tmp_path, model.source, model.target, model.settings.head, "fp32", facts_of(model)))
    data = map_tensors(lambda tensor: tensor.float() if tensor.is_floating_point() else tensor, batch("tokens", seed))
    memory, read = model.encode(data.source), theirs.encode(data.source)
    expected, found = (one.decode(data.inputs, kept, attention=True) for one, kept in ((model, memory), (theirs, read)))
    real = data.inputs.mask
    logits = expected.values.log_softmax(-1)
    torch.testing.assert_close(found.values.log_softmax(-1)[real], logits[real], atol=TOLERANCE, rtol=0)
    assert expected.attention is not None
    assert found.attention is not None
    torch.testing.assert_close(found.attention[real], expected.attention[real], atol=TOLERANCE, rtol=0)

    rows = torch.tensor([1, 1, 0, 0, 2, 2])  # two hypotheses each, of sources in another order
    chosen = select_rows(read, torch.tensor([1, 0, 2]))
    state = theirs.init_state(chosen, 2, data.inputs.values.shape[1])
    for step in range(data.inputs.values.shape[1]):
        output, state = theirs.step(data.inputs.values[rows, step], chosen, state, attention=True)
        there = real[rows, step]
        torch.testing.assert_close(output.values.log_softmax(-1)[there], logits[rows, step][there], atol=TOLERANCE, rtol=0)
        assert output.attention is not None
        torch.testing.assert_close(output.attention[there], expected.attention[rows, step][there], atol=TOLERANCE, rtol=0)

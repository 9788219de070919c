"""Transducers in small: texts to texts, where a symbol is written down, left out, or becomes two."""

import numpy as np
import pytest
import torch

from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Batch, pad
from antiphon.contracts.specs import TokenSpec
from antiphon.losses.transducer import TransducerLossConfig
from antiphon.losses.transducer import plugin as loss
from antiphon.search.transducer import TransducerSearch, TransducerSearchConfig

SPEC = TokenSpec(size=12, pad=0, unknown=1, start=2, end=3)
WRITTEN = {8: [], 9: [], 10: [8, 9]}  # all others as they are


def draw(generator: torch.Generator, count: int) -> Batch:
    """One to six symbols each; none follows itself, since what was just said is then the same before and behind its state."""
    sources, targets = [], []
    for length in torch.randint(1, 7, (count,), generator=generator).tolist():
        source = list[int]()
        while len(source) < length:
            symbol = int(torch.randint(4, 12, (), generator=generator))
            written = [one for one in source if WRITTEN.get(one) != []]
            if symbol not in written[-1:]:
                source.append(symbol)
        sources.append(np.array(source))
        targets.append(np.array([SPEC.start, *(out for symbol in source for out in WRITTEN.get(symbol, [symbol])), SPEC.end]))
    return Batch(pad(sources, SPEC.pad), pad(targets, SPEC.pad), tuple(range(count)))


@pytest.mark.parametrize("predictor", ["stateless", "lstm"])
def test_what_is_said_at_each_symbol_is_learned(predictor, seed):
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    plugin = registry.find("models", "transducer")
    encoder = {"name": "lstm", "dim": 32, "layers": 1, "dropout": 0.0}
    settings = {"encoder": encoder, "predictor": {"name": predictor, "dim": 32, "dropout": 0.0}, "joiner_dim": 32}
    model = plugin.build(validate(plugin.Config, settings), SPEC, SPEC)
    optimizer, scored = torch.optim.Adam(model.parameters(), 0.02), loss.build(TransducerLossConfig(), SPEC)
    steps = 100
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    for _ in range(steps):
        batch = draw(generator, 24)
        optimizer.zero_grad()
        (scored(model(batch.source, batch.inputs), batch.labels).total / batch.labels.lengths.sum()).backward()
        optimizer.step()
        schedule.step()
    batch = draw(generator, 200)
    truth = [row[1 : length - 1] for row, length in zip(batch.target.values.tolist(), batch.target.lengths.tolist(), strict=True)]
    for settings in ({}, {"beam_size": 3}):
        found = TransducerSearch(TransducerSearchConfig(**settings))(model.eval(), batch.source)
        right = sum(own[0].elements.tolist() == expected for own, expected in zip(found, truth, strict=True))
        print(f"{predictor} {settings}: {right} of 200")
        assert right >= 190

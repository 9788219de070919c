"""The pointer-generator head against the definition, written out with loops."""

import math
from dataclasses import replace

import pytest
import torch

from antiphon.contracts.sequences import Memory
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.heads.pointer import Mixture, Pointer, PointerConfig, build, check_pointer

SPEC = TokenSpec(size=7, pad=0, unknown=1, start=2, end=3, fingerprint="test", open_words=3)
B, T, S, D = 2, 3, 4, 5
SYMBOLS = torch.tensor([[4, 8, 4, 3], [9, 7, 5, 3]])  # 7, 8 and 9 are open words


def mixture(seed: int = 0, steps: int | None = T) -> tuple[Mixture, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    head = build(PointerConfig(), SPEC, D, None)
    assert isinstance(head, Pointer)
    shape = (B,) if steps is None else (B, steps)
    attention = torch.rand(*shape, S, generator=generator).softmax(-1)
    memory = Memory(torch.zeros(B, S, D), torch.ones(B, S, dtype=torch.bool), copyable=SYMBOLS)
    return head.over(attention, memory), torch.randn(*shape, D, generator=generator)


def by_hand(mixed: Mixture, features: torch.Tensor) -> list[list[float]]:
    """Probabilities of each symbol for a vector of one row: rows of (symbols,)."""
    found = []
    for row in range(len(features)):
        logits, gate = mixed.head(features[row])
        p_generate = 1 / (1 + math.exp(-gate.item()))
        weights = logits.softmax(-1).tolist()
        probabilities = [p_generate * weight for weight in weights] + [0.0] * SPEC.open_words
        for place, symbol in enumerate(mixed.symbols[row].tolist()):
            probabilities[symbol] += (1 - p_generate) * float(mixed.attention[row, place])
        found.append(probabilities)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_mixture_of_the_definition(seed: int) -> None:
    mixed, features = mixture(seed, steps=None)
    found = mixed(features)
    assert found.shape == (B, SPEC.size + SPEC.open_words)
    torch.testing.assert_close(found.exp(), torch.tensor(by_hand(mixed, features)), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(B))


def test_parts_add_up_to_the_mixture() -> None:
    mixed, features = mixture()
    labels = torch.tensor([[4, 8, 6], [9, 5, 3]])
    generating, copying, _ = mixed.parts(features, labels)
    whole = mixed(features).gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(torch.logaddexp(generating, copying), whole, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_said_has_no_probability_but_a_gradient() -> None:
    mixed, features = mixture()
    features.requires_grad_()
    assert mixed(features)[0, 0, 7] == -math.inf  # an open word of the other source
    generating, copying, _ = mixed.parts(features, torch.full((B, T), 7))
    torch.logaddexp(generating, copying).sum().backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()


def test_origins_say_what_was_copied_and_from_where() -> None:
    mixed, features = mixture()
    labels = torch.tensor([[4, 8, 6], [9, 5, 3]])
    probability, place = mixed.origins(features, labels)
    assert place[0, 2] == -1
    assert probability[0, 2] == 0  # not in the source
    assert place[0, 1] == 1
    assert probability[0, 1].item() == pytest.approx(1)  # an open word can only be copied
    assert place[0, 0] == (0 if mixed.attention[0, 0, 0] > mixed.attention[0, 0, 2] else 2)  # the likelier of two places


def test_hypotheses_of_a_source_share_its_symbols() -> None:
    mixed, _ = mixture(steps=None)
    memory = Memory(torch.zeros(B, S, D), torch.ones(B, S, dtype=torch.bool), copyable=SYMBOLS)
    beams = mixed.head.over(mixed.attention.repeat_interleave(3, 0), memory)
    assert torch.equal(beams.symbols, SYMBOLS.repeat_interleave(3, 0))


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ConfigError, match="must not be `pointer` when the target is real-valued"):
        build(PointerConfig(), ValueSpec(2), D, None)
    head = build(PointerConfig(), SPEC, D, None)
    with pytest.raises(ConfigError, match="without attention"):
        check_pointer(head, SPEC, SPEC, attention=False)
    with pytest.raises(ConfigError, match="share one vocabulary"):
        check_pointer(head, replace(SPEC, fingerprint="other"), SPEC, attention=True)
    assert check_pointer(head, SPEC, SPEC, attention=True)

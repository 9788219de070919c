"""Token level within an update: the loss is the definition's, also when the batch is cut, and only the student learns."""

from typing import Any

import pytest
import torch
from torch.nn.functional import kl_div

from antiphon.contracts import registry
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Batch, Padded
from antiphon.contracts.specs import TokenSpec
from antiphon.distillation.probabilities import DistillationLoss
from antiphon.losses.cross_entropy import CrossEntropy
from antiphon.search.ensemble import Ensemble
from antiphon.training.decoder_inputs import ScheduledSamplingConfig, TeacherForcingConfig
from antiphon.training.distributed import Ranks
from antiphon.training.step import Update

SPEC = TokenSpec(size=9, pad=0, unknown=1, start=2, end=3)
LENGTHS = [(7, 9), (2, 3), (5, 2), (1, 6), (4, 4)]
SMOOTHED = CrossEntropy(smoothing=0.1)


def model(seed: int, name: str, dim: int) -> Any:
    plugin = registry.find("models", name)
    torch.manual_seed(seed)
    sizes = {"heads": 2, "feed_forward_dim": 8} if name == "transformer" else {}
    return plugin.build(plugin.Config(dim=dim, dropout=0.0, **sizes), SPEC, SPEC)


def batch(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    sides = []
    for side in (0, 1):
        lengths = torch.tensor([pair[side] for pair in LENGTHS])
        values = torch.randint(4, 9, (len(LENGTHS), int(lengths.max())), generator=generator)
        sides.append(Padded(values.masked_fill(~Padded(values, lengths).mask, SPEC.pad), lengths))
    return Batch(*sides, tuple(range(len(LENGTHS))))


def update(student: Seq2SeqModel, loss: Any, *, precision: Any = "fp32", inputs: Any = None) -> Update:
    """Plain gradient descent with rate 1, so that the step is the gradient."""
    optimizer = torch.optim.SGD(student.parameters(), lr=1.0)
    ranks = Ranks(0, 1, torch.device("cpu"))
    return Update.of(
        student.train(), loss, optimizer, ranks, inputs=inputs or TeacherForcingConfig(), clip_norm=None, precision=precision, seed=1
    )


def mean_loss(student: Seq2SeqModel, teacher: Seq2SeqModel, given: Batch, weight: float, temperature: float) -> float:
    """The definition, with all logits in memory."""
    with torch.no_grad():
        own, theirs = (one(given.source, given.inputs).values / temperature for one in (student, teacher))
        distance = kl_div(own.log_softmax(-1), theirs.softmax(-1), reduction="none").sum(-1) * temperature**2
        usual = SMOOTHED(student(given.source, given.inputs), given.labels).rows
    elements = given.labels.mask.sum()
    return float((weight * (distance * given.labels.mask).sum() + (1 - weight) * usual.sum()) / elements)


TEACHERS = {
    "transformer": lambda: model(8, "transformer", 12).eval(),
    "lstm": lambda: model(8, "lstm", 10).eval(),
    "ensemble": lambda: Ensemble([model(8, "transformer", 12), model(9, "lstm", 10)]).eval(),
}


@pytest.mark.parametrize("kind", TEACHERS)
@pytest.mark.parametrize(("weight", "temperature"), [(1.0, 1.0), (0.3, 2.0)])
def test_the_loss_is_the_definitions(kind: str, weight: float, temperature: float) -> None:
    teacher, student, given = TEACHERS[kind](), model(1, "lstm", 8), batch(5)
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    expected = mean_loss(student.eval(), teacher, given, weight, temperature)
    result = update(student, DistillationLoss(SMOOTHED, teacher, weight, temperature))([given], 0, 1.0)
    assert result.loss == pytest.approx(expected, abs=1e-5)
    assert result.gradient_norm > 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_pieces_of_a_batch_give_the_same_gradient() -> None:
    teacher, given = TEACHERS["transformer"](), batch(6)
    loss = DistillationLoss(SMOOTHED, teacher, 0.5, 1.0)
    whole, pieced = model(1, "lstm", 8), model(1, "lstm", 8)
    parts = [given.select_rows(rows) for rows in torch.arange(len(LENGTHS)).tensor_split((1, 3))]
    expected, found = update(whole, loss)([given], 0, 1.0), update(pieced, loss)([*parts, None], 0, 1.0)
    assert found.loss == pytest.approx(expected.loss, abs=1e-5)
    for one, other in zip(pieced.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_the_teacher_reads_the_truth_whatever_the_student_reads() -> None:
    teacher, given = TEACHERS["lstm"](), batch(7)
    read = []
    teacher.register_forward_pre_hook(lambda _, inputs: read.append(inputs[1].values))
    sampled = ScheduledSamplingConfig(schedule="constant", end=0.0)
    update(model(1, "lstm", 8), DistillationLoss(SMOOTHED, teacher, 0.5, 1.0), inputs=sampled)([given], 0, 1.0)
    [values] = read
    assert torch.equal(values, given.inputs.values)


def test_half_precision_comes_close() -> None:
    teacher, given = TEACHERS["transformer"](), batch(8)
    loss = DistillationLoss(SMOOTHED, teacher, 0.5, 1.0)
    exact, rough = (update(model(1, "transformer", 8), loss, precision=one)([given], 0, 1.0) for one in ("fp32", "bf16"))
    assert rough.loss == pytest.approx(exact.loss, rel=0.02)
    assert not rough.skipped

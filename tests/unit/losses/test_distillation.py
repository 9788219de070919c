"""The distance from a teacher, against torch's own divergence."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div

from antiphon.contracts.sequences import Memory, Output, Padded
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError
from antiphon.heads.categorical import Categorical
from antiphon.heads.pointer import Pointer
from antiphon.losses import chunked
from antiphon.losses.cross_entropy import CrossEntropy
from antiphon.losses.distillation import TaughtLoss

SYMBOLS, STUDENT, TEACHER = 11, 6, 9


def outputs(seed: int, *, bias: bool = False) -> tuple[Output, Output, Padded]:
    """What a student and a teacher of other width say, and labels with padding."""
    torch.manual_seed(seed)
    student, teacher = Categorical(STUDENT, SYMBOLS, bias=bias, tied=None), Categorical(TEACHER, SYMBOLS, bias=bias, tied=None)
    labels = Padded(torch.randint(0, SYMBOLS, (3, 5)), torch.tensor([5, 2, 4]))
    return Output(torch.randn(3, 5, STUDENT, requires_grad=True), student), Output(torch.randn(3, 5, TEACHER) * 2, teacher), labels


def reference(student: Tensor, teacher: Tensor, labels: Padded, temperature: float) -> Tensor:
    """The definition, with all logits in memory."""
    own, goal = (logits.float() / temperature for logits in (student, teacher))
    losses = kl_div(own.log_softmax(-1), goal.softmax(-1).detach(), reduction="none").sum(-1)
    return (losses * labels.mask * temperature**2).sum(1)


def plain(output: Output) -> Output:
    """The same by a head that is no module, so that autograd makes the gradients."""
    return Output(output.features, lambda features: output.head(features))


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("fused", [True, False])
def test_equals_torch(monkeypatch: pytest.MonkeyPatch, temperature: float, bias: bool, fused: bool) -> None:
    monkeypatch.setattr(chunked, "CHUNK", 4)  # eleven real steps in three chunks
    student, teacher, labels = outputs(seed=3, bias=bias)
    found = TaughtLoss(teacher, temperature)(student if fused else plain(student), labels)
    found.total.backward()
    gradients = {"features": student.features.grad, **{name: tensor.grad for name, tensor in student.head.named_parameters()}}
    student.features.grad = None
    student.head.zero_grad()
    wanted = reference(student.head(student.features), teacher.head(teacher.features), labels, temperature)
    wanted.sum().backward()
    torch.testing.assert_close(found.rows, wanted.detach(), check_dtype=False)
    for name, tensor in (("features", student.features), *student.head.named_parameters()):
        torch.testing.assert_close(gradients[name], tensor.grad, atol=1e-5, rtol=1e-4, msg=lambda message, name=name: f"{name}: {message}")


@pytest.mark.parametrize("fused", [True, False])
def test_no_gradient_reaches_the_teacher(fused: bool) -> None:
    student, teacher, labels = outputs(seed=4)
    teacher.features.requires_grad_(True)
    TaughtLoss(teacher)(student if fused else plain(student), labels).total.backward()
    assert student.features.grad is not None
    assert teacher.features.grad is None
    assert all(parameter.grad is None for parameter in teacher.head.parameters())


def test_padding_costs_nothing() -> None:
    student, teacher, labels = outputs(seed=5)
    found = TaughtLoss(teacher)(student, labels)
    assert (found.rows > 0).all()
    student.features.data[~labels.mask] = torch.nan
    again = TaughtLoss(teacher)(student, labels)
    torch.testing.assert_close(again.rows, found.rows)


def test_a_student_that_says_the_same_is_at_no_distance() -> None:
    _, teacher, labels = outputs(seed=6)
    student = Output(teacher.features.clone().requires_grad_(True), teacher.head)
    found = TaughtLoss(teacher, 2.0)(student, labels)
    torch.testing.assert_close(found.rows, torch.zeros(3), atol=1e-5, rtol=0)


@pytest.mark.parametrize("fused", [True, False])
def test_symbols_that_the_teacher_excludes(fused: bool) -> None:
    """Log-probabilities of minus infinity, as an ensemble or a masked head may give them, are no reason for a NaN."""
    student, teacher, labels = outputs(seed=7)
    logits = teacher.values.detach().clone()
    logits[..., 2] = -torch.inf
    found = TaughtLoss(Output(logits, nn.Identity()))(student if fused else plain(student), labels)
    found.total.backward()
    assert found.rows.isfinite().all()
    assert student.features.grad.isfinite().all()


def test_other_symbols_are_refused() -> None:
    student, _, labels = outputs(seed=8)
    teacher = Output(torch.randn(3, 5, TEACHER), Categorical(TEACHER, SYMBOLS + 1, bias=False, tied=None))
    with pytest.raises(ConfigError, match=r"must be `sequence`.*12 symbols.*11"):
        TaughtLoss(teacher)(student, labels)


def test_a_student_that_copies_is_refused() -> None:
    student, teacher, labels = outputs(seed=9)
    head = Pointer(STUDENT, TokenSpec(SYMBOLS, 0, 1, 2, 3), bias=False, tied=None)
    memory = Memory(torch.zeros(3, 4, 2), torch.ones(3, 4, dtype=torch.bool), copyable=torch.zeros(3, 4, dtype=torch.int64))
    copying = Output(student.features, head.over(torch.rand(3, 5, 4), memory))
    with pytest.raises(ConfigError, match=r"with `model\.head: pointer`"):
        TaughtLoss(teacher)(copying, labels)


@pytest.mark.parametrize("coverage", [0.0, 1.5])
@pytest.mark.parametrize("fused", [True, False])
def test_the_loss_of_the_labels_has_the_rest_of_the_weight(coverage: float, fused: bool) -> None:
    """In one pass over the chunks where it is cross-entropy alone, beside it where it is more."""
    student, teacher, labels = outputs(seed=10)
    student = Output(student.features, student.head, torch.rand(3, 5, 4).softmax(-1))
    usual, weights = CrossEntropy(0.1, coverage), torch.tensor([0.5, 1.0, 2.0])
    one = student if fused else Output(student.features, plain(student).head, student.attention)
    found = TaughtLoss(teacher, 2.0, 0.3, usual)(one, labels, weights)
    apart = 0.3 * TaughtLoss(teacher, 2.0)(student, labels, weights) + 0.7 * usual(student, labels, weights)
    torch.testing.assert_close(found.rows, apart.rows)
    inputs = [student.features, *student.head.parameters()]
    for own, other in zip(torch.autograd.grad(found.total, inputs), torch.autograd.grad(apart.total, inputs), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-5)

"""The shapes in signatures are checked while tests run: by the letters of one call, in arguments, results and dataclasses."""

from collections.abc import Iterator
from dataclasses import dataclass

import jaxtyping
import pytest
import torch
from beartype import beartype
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.contracts.sequences import Padded, select_rows
from tests.checked_shapes import checked, every_call


@checked(typechecker=beartype)
def product(left: Float[Tensor, "B D"], right: Float[Tensor, "B D"], width: int = 0) -> Float[Tensor, "B D"]:
    """One that gives a wrong width on demand, and calls itself with other sizes."""
    if left.shape[0] > 1:
        product(left[:1], right[:1])
    return (left * right)[:, : left.shape[1] - width]


@checked(typechecker=beartype)
@dataclass
class Pair:
    left: Int[Tensor, " B"]
    right: Int[Tensor, " B"]


@checked(typechecker=beartype)
def rows(table: Float[Tensor, "B D"]) -> Iterator[Float[Tensor, " D"]]:
    yield from table


def test_the_letters_of_one_call_are_the_same_sizes() -> None:
    wide, narrow = torch.ones(2, 3), torch.ones(2, 4)
    assert product(wide, wide).shape == (2, 3)
    assert product(narrow, narrow).shape == (2, 4)
    assert [row.shape for row in rows(wide)] == [(3,), (3,)]
    with pytest.raises(BeartypeCallHintViolation):
        product(wide, narrow)
    with pytest.raises(BeartypeCallHintViolation):
        product(wide, wide, width=1)
    with pytest.raises(BeartypeCallHintViolation):
        product(wide, wide.int())
    with pytest.raises(BeartypeCallHintViolation):
        Pair(torch.zeros(2, dtype=torch.int64), torch.zeros(3, dtype=torch.int64))


@checked(typechecker=beartype)
def quoted(known: "Int[Tensor, ' B'] | None", unknown: "list[NotImported]") -> "Pair | None":  # type: ignore[name-defined] # noqa: F821
    return None if known is None else Pair(known, unknown[0])


def test_quoted_hints_are_checked_where_their_names_are_known() -> None:
    pair = quoted(torch.zeros(2, dtype=torch.int64), [torch.zeros(2, dtype=torch.int64)])
    assert pair is not None
    with pytest.raises(BeartypeCallHintViolation):
        quoted(torch.zeros(2), [])


def test_checks_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    assert product(torch.ones(2, 3), torch.ones(2, 3), width=1).shape == (2, 2)


def test_the_package_is_checked() -> None:
    with every_call(), pytest.raises(BeartypeCallHintViolation):
        Padded(torch.zeros(2, 3), torch.ones(2))
    with every_call(), pytest.raises(BeartypeCallHintViolation):
        select_rows(torch.zeros(2), [0])

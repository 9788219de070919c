"""Padded, Batch, select_rows and map_tensors."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch

from antiphon.contracts.sequences import (
    Batch,
    Hypothesis,
    Memory,
    Output,
    Padded,
    Prediction,
    carried_forward,
    map_tensors,
    pad,
    select_rows,
    to_device,
)


def test_masks_are_true_where_elements_are_real():
    padded = Padded(torch.zeros(3, 4), torch.tensor([4, 0, 2]))
    assert padded.mask.tolist() == [[True] * 4, [False] * 4, [True, True, False, False]]


def test_inputs_and_labels_are_the_target_shifted_by_one():
    target = Padded(torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]]), torch.tensor([4, 3]))
    batch = Batch(target, target, (0, 1))
    assert batch.inputs.values.tolist() == [[2, 5, 6], [2, 7, 3]]
    assert batch.labels.values.tolist() == [[5, 6, 3], [7, 3, 0]]
    assert batch.inputs.lengths.tolist() == batch.labels.lengths.tolist() == [3, 2]
    real = [row[: int(length)].tolist() for row, length in zip(batch.labels.values, batch.labels.lengths, strict=True)]
    assert real == [[5, 6, 3], [7, 3]]
    with pytest.raises(AssertionError, match="without targets has no inputs"):
        _ = Batch(target, None).inputs


def test_selected_rows_are_as_wide_as_the_longest_of_them():
    padded = Padded(torch.arange(12).view(3, 4), torch.tensor([4, 1, 2]))
    chosen = padded.select_rows(torch.tensor([2, 1, 2]))
    assert chosen.values.tolist() == [[8, 9], [4, 5], [8, 9]]
    assert chosen.lengths.tolist() == [2, 1, 2]
    batch = Batch(padded, padded, (7, 8, 9)).select_rows(torch.tensor([1]))
    assert batch.records == (8,)
    assert batch.source.values.shape == batch.target.values.shape == (1, 1)


def test_pad_stacks_behind_the_longest():
    padded = pad([np.array([1, 2, 3]), np.array([], dtype=np.int32), np.array([4])], 9.0)
    assert padded.values.tolist() == [[1, 2, 3], [9, 9, 9], [4, 9, 9]]
    assert padded.values.dtype == torch.int64
    assert padded.lengths.tolist() == [3, 0, 1]
    values = pad([np.ones((2, 3)), np.ones((1, 3), dtype=np.float16)])
    assert values.values.shape == (2, 2, 3)
    assert values.values.dtype == torch.float32
    assert not values.values[1, 1].any()


class Pair(NamedTuple):
    left: torch.Tensor
    right: torch.Tensor | None


@dataclass(frozen=True)
class Nested:
    items: list[torch.Tensor]
    pair: Pair
    table: dict[str, torch.Tensor]
    label: str = "kept"


def test_rows_are_selected_in_every_nested_tensor():
    def tensor(offset):
        return torch.arange(6).view(3, 2) + offset

    tree = Nested([tensor(0), tensor(10)], Pair(tensor(20), None), {"x": tensor(30)})
    found = select_rows((tree, 5, None), torch.tensor([2, 0, 0]))
    nested = found[0]
    assert found[1:] == (5, None)
    assert isinstance(nested.pair, Pair)
    assert nested.label == "kept"
    for chosen, offset in ((nested.items[0], 0), (nested.items[1], 10), (nested.pair.left, 20), (nested.table["x"], 30)):
        assert torch.equal(chosen, tensor(offset)[[2, 0, 0]])
    memory = Memory(torch.randn(3, 4, 2), torch.ones(3, 4, dtype=torch.bool), final=Pair(tensor(0), None), projections=(tensor(1),))
    assert torch.equal(select_rows(memory, torch.tensor([1])).final.left, tensor(0)[[1]])


class Own:
    """A state that knows a cheaper way."""

    def select_rows(self, index):
        return f"rows {index.tolist()}"


def test_a_state_may_select_its_own_rows():
    assert select_rows(Own(), torch.tensor([3, 1])) == "rows [3, 1]"


def test_mapping_changes_types_and_devices_of_all_tensors():
    tree = {"a": (torch.ones(2), [torch.ones(2, dtype=torch.int64)]), "b": "text"}
    assert map_tensors(lambda tensor: tensor.double(), tree)["a"][1][0].dtype == torch.float64
    moved = to_device(tree, "meta")
    assert moved["a"][0].device.type == "meta"
    assert moved["b"] == "text"


def test_an_output_applies_its_head_once():
    calls = []
    output = Output(torch.ones(2), lambda features: calls.append(1) or features * 3)
    assert not calls
    assert output.values.tolist() == output.values.tolist() == [3, 3]
    assert len(calls) == 1


def test_a_prediction_of_values_has_no_text():
    with pytest.raises(AssertionError, match=r"use `\.value`"):
        _ = Prediction(np.zeros(3), Hypothesis(np.zeros(3), 0.0, 0.0)).text


def test_missing_values_are_read_as_the_last_before_them_and_stay_missing_as_labels():
    nan = float("nan")
    target = torch.tensor([[[1.0, nan], [nan, 2.0], [nan, nan], [4.0, 3.0], [nan, 5.0]]])
    batch = Batch(Padded(torch.zeros(1, 2, 1), torch.tensor([2])), Padded(target, torch.tensor([5])))
    assert batch.inputs.values.tolist() == [[[1.0, 0.0], [1.0, 2.0], [1.0, 2.0], [4.0, 3.0]]]
    assert batch.labels.values.isnan().tolist() == [[[True, False], [True, True], [False, False], [True, False]]]
    whole = torch.randn(3, 4, 2)
    assert torch.equal(carried_forward(whole), whole)

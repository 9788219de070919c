"""A model of toy symbols that runs out of memory above a number of rows, a task for it, and ranks that are threads."""

import threading
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch import Tensor

from antiphon.contracts.sequences import Example, Hypothesis, Memory, Padded, Prediction, Request
from antiphon.contracts.task import Task
from antiphon.data.mapped import MemoryCorpus
from antiphon.training.distributed import Ranks
from tests.toys import END, START, ToyModel

ALONE = Ranks(0, 1, torch.device("cpu"))


class Narrow(ToyModel):  # type: ignore[misc]
    """A toy that has no memory for more than `most` rows; `rows` are those that it was given."""

    most = 10**9

    def encode(self, source: Padded) -> Memory:
        self.rows = [*getattr(self, "rows", []), len(source.values)]
        if len(source.values) > self.most:
            raise torch.OutOfMemoryError("no room")
        return super().encode(source)


def toy_task(model: ToyModel) -> Any:
    """Texts are numbers with blanks between them; a record has `source` and `target`."""
    task = Mock(spec=Task)
    task.source_spec, task.target_spec, task.target_column = model.source, model.target, "target"
    task.source_of.side_effect = lambda record: record["source"]
    task.reference.side_effect = lambda record: record["target"]
    task.encode.side_effect = encode
    task.request.side_effect = lambda _: Request()

    def decode(hypotheses: list[Hypothesis], example: Example) -> Prediction:
        return Prediction(" ".join(map(str, hypotheses[0].elements.tolist())), hypotheses[0])

    task.decode.side_effect = decode
    return task


def encode(record: dict[str, str], index: int = -1) -> Example:
    source = np.array([int(number) for number in record["source"].split()])
    target = np.array([START, *(int(number) for number in record["target"].split()), END]) if "target" in record else None
    return Example(source, target, index)


def toy_records(count: int, seed: int = 0) -> list[dict[str, str]]:
    draw = np.random.default_rng(seed)

    def text() -> str:
        return " ".join(map(str, draw.integers(4, 7, size=draw.integers(1, 6))))

    return [{"source": text(), "target": text()} for _ in range(count)]


def toy_corpus(records: list[dict[str, str]]) -> MemoryCorpus:
    return MemoryCorpus([encode(record, number) for number, record in enumerate(records)])


def on_ranks(world: int, work: Callable[[Ranks], Any], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What `work` returns on each of several ranks, which are threads here, and exchange tensors as processes do."""
    table: list[Tensor] = [torch.empty(0)] * world
    barrier, found = threading.Barrier(world, timeout=60), [None] * world

    def gather(self: Ranks, tensor: Tensor) -> list[Tensor]:
        table[self.rank] = tensor
        barrier.wait()
        parts = [part.clone() for part in table]
        barrier.wait()
        return parts

    def run(rank: int) -> None:
        try:
            found[rank] = work(Ranks(rank, world, torch.device("cpu")))
        except BaseException as error:
            found[rank] = error  # type: ignore[call-overload]

    monkeypatch.setattr(Ranks, "_gather", gather)
    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(world)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found

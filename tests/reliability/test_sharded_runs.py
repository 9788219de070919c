"""Runs whose weights are sharded come to what runs of one process come to, and go on in any number of processes."""

from pathlib import Path

import pytest
import torch

from antiphon.contracts.model import Seq2SeqModel
from antiphon.models.transformer import Transformer
from antiphon.recipe.recipe import read_recipe
from antiphon.store import checkpoint
from tests.reliability.training_processes import TRANSFORMER, events, run, train_command, write_data, write_recipe

SHARDED = ("--set", "training.distributed.shard=true")
STILL = {**TRANSFORMER, "dropout": 0.0, "bias": False}  # a bias of keys has no gradient but noise, which Adam makes large


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recipe with all that is averaged, and its run in one process."""
    folder = tmp_path_factory.mktemp("whole")
    write_data(folder)
    recipe = write_recipe(folder, model=STILL, ema_decay=0.9, average=2, accumulation=2, max_steps=8, save_every=4)
    statuses, said = run(train_command(recipe, folder / "one"))
    assert statuses == [0], said
    return recipe, folder / "one"


def same(found: Path, expected: Path) -> None:
    """The same weights up to rounding, and the same losses."""
    for name in ("last", "best"):
        left, right = (checkpoint.read((run / name).resolve()) for run in (found, expected))
        for key, tensor in right.weights().items():
            torch.testing.assert_close(left.weights()[key], tensor, rtol=1e-3, atol=1e-4, msg=key)
    losses = [[event["loss"] for event in events(run, "train")] for run in (found, expected)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_sharded_runs_come_to_the_same(count: int, whole: tuple[Path, Path], tmp_path: Path) -> None:
    recipe, one = whole
    statuses, said = run(train_command(recipe, tmp_path / "run", *SHARDED), count)
    assert statuses == [0] * count, said
    assert (tmp_path / "run/last/training/shards").is_dir(), "the optimizer's state stays in shards"
    same(tmp_path / "run", one)


@pytest.mark.parametrize(("before", "after"), [(2, 1), *(pytest.param(*counts, marks=pytest.mark.slow) for counts in ((1, 2), (2, 3)))])
def test_it_goes_on_in_another_number_of_processes(before: int, after: int, whole: tuple[Path, Path], tmp_path: Path) -> None:
    recipe, one = whole
    for count, more in ((before, ("--set", "training.max_steps=4")), (after, ("--resume",))):
        statuses, said = run(train_command(recipe, tmp_path / "run", *SHARDED, *more), count)
        assert statuses == [0] * count, said
    same(tmp_path / "run", one)


def narrow() -> None:
    """In this process, no more than two rows fit in memory."""
    encode = Transformer.encode

    def encoding(self: Seq2SeqModel, source: object) -> object:
        if len(source.lengths) > 2 and torch.is_grad_enabled():  # type: ignore[attr-defined]
            raise MemoryError
        return encode(self, source)  # type: ignore[arg-type]

    Transformer.encode = encoding  # type: ignore[method-assign, assignment]


def test_all_split_their_batches_when_memory_does_not_suffice_for_one(whole: tuple[Path, Path], tmp_path: Path) -> None:
    recipe, one = whole
    statuses, said = run(train_command(recipe, tmp_path / "run", *SHARDED), 2, prepare=narrow)
    assert statuses == [0, 0], said
    assert (tmp_path / "run/last/training/shards").is_dir(), "the optimizer's state stays in shards"
    assert events(tmp_path / "run", "split"), "nothing was split"
    same(tmp_path / "run", one)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "then"), [("true", "true"), ("false", "true"), ("true", "false")])
def test_shards_may_lie_in_the_memory_of_the_machine(first: str, then: str, whole: tuple[Path, Path], tmp_path: Path) -> None:
    recipe, one = whole
    for offload, more in ((first, ("--set", "training.max_steps=4")), (then, ("--resume",))):
        statuses, said = run(
            train_command(recipe, tmp_path / "run", *SHARDED, "--set", f"training.distributed.offload={offload}", *more), 2
        )
        assert statuses == [0, 0], said
        assert ("`training.distributed.offload` changes nothing on a CPU" in said) == (offload == "true")
    same(tmp_path / "run", one)


@pytest.mark.slow
@pytest.mark.parametrize("offload", ["false", "true"])
@pytest.mark.parametrize("memory", ["4 GB", "0.51 GB"])
def test_packed_rows_of_a_planned_budget_come_to_the_same(offload: str, memory: str, tmp_path: Path) -> None:
    """Packing, planning and recomputed layers at once. The budget that the processes found together is written down for the one."""
    write_data(tmp_path)
    recipe = write_recipe(tmp_path, model={**STILL, "checkpoint_activations": True}, max_steps=8, save_every=4)
    packed = ("--set", "training.batching.pack=true")
    planned = ("--set", "training.batching.target_tokens=auto", "--set", f"training.batching.memory_limit={memory}")
    shards = (*SHARDED, "--set", f"training.distributed.offload={offload}")
    statuses, said = run(train_command(recipe, tmp_path / "run", *packed, *planned, *shards), 2)
    assert statuses == [0, 0], said
    assert "`training.batching.target_tokens: auto` is" in said
    found = read_recipe(tmp_path / "run/recipe.yaml").training.batching.target_tokens
    statuses, said = run(train_command(recipe, tmp_path / "one", *packed, "--set", f"training.batching.target_tokens={found}"))
    assert statuses == [0], said
    same(tmp_path / "run", tmp_path / "one")

"""Blocks predicted by actors of Ray, on one machine or a cluster: `antiphon predict --engine ray`.

Ray Data hands out numbers of blocks, and each actor, which has the model once, writes the files of its blocks. What matters rests on the
files alone: Ray Data keeps no order, and predicts a block again when an actor was killed, any number of times.
"""

import json
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

from antiphon.contracts.files import FileConfig, is_elsewhere
from antiphon.errors import AntiphonError, MissingPackageError, TrainingError
from antiphon.prediction.block_plan import Block
from antiphon.prediction.blocks import OpenBlocks, Written
from antiphon.prediction.orders import BlockOrder
from antiphon.prediction.tally import Tally
from antiphon.store.json_text import json_text

_DEATHS = 4  # of an actor, and of a block with it, before the job ends: Ray Data would go on for ever
_STARTS = 3  # a busy machine may be too slow for Ray to see that its node has begun


def find_ray() -> Any:
    """Ray, with its data library. Raises MissingPackageError."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingPackageError("`--engine ray`", "ray", "ray") from error
    return ray


def write_with_ray(order: BlockOrder, blocks: Sequence[Block], actors: int) -> Iterator[Written]:
    """Predict blocks with `actors` Ray actors, each with a model of its own; yields the result of each block when it is finished.

    Raises TrainingError when Ray cannot be started, or what an actor has raised.
    """
    ray = find_ray()
    started = _start(ray, actors)
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.max_errored_blocks = 0
        numbers = ray.data.from_items([{"block": block.number} for block in blocks], override_num_blocks=len(blocks))
        found = numbers.map_batches(
            BlockActor,
            fn_constructor_args=(_from_anywhere(order),),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=actors),
            num_cpus=1,
            num_gpus=1 if ray.cluster_resources().get("GPU") else 0,
            max_restarts=_DEATHS,
            max_task_retries=_DEATHS,
        )
        by_number = {block.number: block for block in blocks}
        for row in found.iter_rows():
            refused = tuple((int(number), str(name), str(reason)) for number, name, reason in json.loads(row["refused"]))
            yield Written(by_number[int(row["block"])], Tally.of(row["tally"]), refused, str(row["remark"]))
    except AntiphonError:
        raise
    except Exception as error:
        raise _own(error) from error
    finally:
        if started:
            ray.shutdown()


@final
class BlockActor:
    """An actor with a model, which predicts the blocks whose numbers it receives."""

    def __init__(self, order: BlockOrder):
        predictor = order.load()
        self._opened = OpenBlocks(order, predictor, order.helped(predictor))

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Predict the blocks in a batch of numbers; returns their results."""
        written = [self._opened.write(self._opened.blocks[int(number)]) for number in batch["block"]]
        return {
            "block": [one.block.number for one in written],
            "tally": [one.tally.plain() for one in written],
            "refused": [json_text(one.refused) for one in written],
            "remark": [one.remark for one in written],
        }


def _start(ray: Any, actors: int) -> bool:
    """Join the cluster in RAY_ADDRESS, or start a node here. Returns whether this process has started it. Raises TrainingError."""
    if ray.is_initialized():
        return False
    address = os.environ.get("RAY_ADDRESS")
    reason = ""
    for _ in range(1 if address else _STARTS):
        try:
            if address:
                _reach(address)
                ray.init(address=address, log_to_driver=False)
            else:
                ray.init(include_dashboard=False, log_to_driver=False, num_cpus=max(actors, len(os.sched_getaffinity(0))))
            return True
        except Exception as error:  # it has many
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            ray.shutdown()
    where = f"joined at {address}" if address else "started"
    raise TrainingError(
        f"Ray cannot be {where}: {reason.rstrip('.')}. Start a cluster (`ray start --head`) and name it by RAY_ADDRESS, or leave out"
        " `--engine ray`: `--shard I/N` needs no Ray."
    )


def _reach(address: str) -> None:
    """Raise OSError if nobody listens at a host and port; Ray itself would then end this process without an error message."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()


def _own(error: BaseException) -> AntiphonError:
    """The error of ours that an actor has raised; otherwise one that says that Ray has failed."""
    inner: BaseException | None = error
    while inner is not None:
        cause = getattr(inner, "cause", None)
        if isinstance(inner, AntiphonError):
            return inner
        inner = cause if isinstance(cause, BaseException) else inner.__cause__
    lines = [line for line in str(error).splitlines() if line.strip()]
    return TrainingError(f"Ray has failed: {lines[-1].strip() if lines else type(error).__name__} Finished blocks stay.")


def _from_anywhere(order: BlockOrder) -> BlockOrder:
    """The order with absolute paths, since actors may run in another folder, and with one process each."""
    inputs = tuple(_absolute_file(one) if isinstance(one, FileConfig) else Path(_absolute(str(one))) for one in order.inputs)
    return replace(
        order,
        runs=tuple(map(_absolute, order.runs)),
        inputs=inputs,
        output=_absolute(order.output),
        glossary=order.glossary and _absolute(order.glossary),
        memory=order.memory and _absolute(order.memory),
        workers=1,
    )


def _absolute_file(file: FileConfig) -> FileConfig:
    path, source, target = (None if name is None else _absolute(name) for name in (file.path, file.source, file.target))
    return replace(file, path=path, source=source, target=target)


def _absolute(name: str) -> str:
    in_braces = name.lstrip().startswith("{")  # files as a recipe names them
    return name if in_braces or is_elsewhere(name) else str(Path(name).expanduser().absolute())


__all__ = ["BlockActor", "find_ray", "write_with_ray"]

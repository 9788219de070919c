"""Predicts inputs in blocks, each with a file of its own: by one process, or by many that share only the folder; resumes after
interruption.

Blocks depend on nothing but their inputs. So it does not matter who predicts which, when, or how often: the files are the same.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from antiphon.contracts.abilities import WritesFormats
from antiphon.contracts.asking import writes_files
from antiphon.contracts.corpus import Share
from antiphon.contracts.files import FileConfig, is_remote
from antiphon.contracts.task import Task
from antiphon.errors import DataError
from antiphon.prediction.block_job import Done, JobFolder, open_folder
from antiphon.prediction.block_plan import Block, BlockReader, Part, made, open_input_parts
from antiphon.prediction.files import AnswersFiles
from antiphon.prediction.inputs import open_inputs
from antiphon.prediction.memory import Say, silent
from antiphon.prediction.orders import BlockOrder
from antiphon.prediction.output_kinds import Kind, kind_of
from antiphon.prediction.predictor import Predictor
from antiphon.prediction.tally import Tally
from antiphon.prediction.writers import writer_for
from antiphon.store.places import LocalPlace, Place
from antiphon.store.remote import RemotePlace


@final
@dataclass(frozen=True)
class Written:
    """The result for a block.

    tally     what is counted of its predictions
    refused   its inputs that could not be used: number from 1, what it is called, and why
    remark    what a reader of its file should know; empty where there is nothing to say
    """

    block: Block
    tally: Tally
    refused: tuple[tuple[int, str, str], ...]
    remark: str


def place_of(output: str) -> Place:
    """The folder that `--output` names."""
    return RemotePlace(output) if is_remote(output) else LocalPlace(Path(output))


def block_kind(suffix: str, task: Task) -> Kind:
    """The kind of output for files with this suffix. Raises DataError for a format that cannot hold several predictions."""
    kind = kind_of(Path(f"part{suffix}"), task, as_json=False)
    if kind == "file" or (kind == "format" and isinstance(task, WritesFormats) and not task.formats()[suffix.lower()]):
        raise DataError(f"Blocks of several predictions cannot be {suffix} files, which have room for one. Write *.jsonl.")
    return kind


def asks_for_blocks(output: str, named: Sequence[Path | FileConfig], task: Task) -> bool:
    """Whether an output is a folder of blocks even if no option asks for it: a pattern such as out/*.tsv, or a folder, unless the inputs
    are files that are written back."""
    if output == "-":
        return False
    if _pattern(output):
        return True
    if not output.endswith("/") and not Path(output).is_dir():
        return False
    inputs = open_inputs(named, task)
    rewritten = bool(inputs.files) and all(file.reader.back is not None for file in inputs.files)
    return inputs.documents is None and not rewritten and not writes_files(task)


def _pattern(output: str) -> bool:
    return output.rpartition("/")[2].startswith("*.")


def folder_and_suffix(output: str) -> tuple[str, str]:
    """The folder of blocks that `--output` names, and the suffix of their files: out/ means *.jsonl, out/*.tsv tables.

    Raises DataError for what is no folder.
    """
    head, slash, last = output.rpartition("/")
    if last.startswith("*."):
        return (head or ("/" if slash else ".")), last.removeprefix("*")
    path = Path(output)
    if output == "-" or path.is_file() or (path.suffix and not output.endswith("/") and not path.is_dir()):
        raise DataError(f"`--output` must be a folder for blocks, such as out/ or 'out/*.tsv', but is {output}.")
    return output, ".jsonl"


@final
class OpenBlocks:
    """The blocks of an order, predicted one by one; with ascending numbers, each input is read once.

    Raises DataError when the folder is of another job, or the output is none that blocks can have.
    """

    def __init__(self, order: BlockOrder, predictor: Predictor, answers: AnswersFiles, say: Say = silent):
        task = predictor.task
        self._task, self._kind = task, block_kind(order.suffix, task)
        self._answers = answers if self._kind == "jsonl" else answers.without_copies()
        self._parts = open_input_parts(order.inputs, task)
        place = place_of(order.output)
        self.folder: JobFolder = open_folder(place, order, predictor, _elsewhere(self._parts, order.output), say)
        self._reader = BlockReader(self._parts)

    @property
    def blocks(self) -> Sequence[Block]:
        """All blocks of the job."""
        return self.folder.blocks

    def write(self, block: Block) -> Written:
        """Predict a block, write its file, and mark it as finished. Raises DataError where it cannot be read or written."""
        part, tally, refused = self._parts[block.part], Tally(), list[tuple[int, str, str]]()
        entries = self._reader.read(block)
        blank = "answer" if part.are_lines else "refuse"
        predictions = self._answers.predict(made(entries), on_error="keep", blank=blank)
        name = self.folder.name(block)
        with self.folder.place.writing(name) as file:
            # What is no UTF-8, such as a file's name, becomes an escape, which JSON reads, too.
            text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="")
            writer = writer_for(text, self._kind, self._task, name=name)
            for entry, prediction in zip(entries, predictions, strict=True):
                writer.write(prediction, entry.record)
                tally.add(prediction)
                if "error" in prediction.details:
                    place = part.place(entry.number)
                    name = f"input {entry.number + 1}{f' ({place})' if place else ''}"
                    refused.append((entry.number + 1, name, prediction.details["error"]))
            writer.finish()
            text.flush()
            size = file.tell()
            text.detach()
        self.folder.finish(block, size, Done(tally.inputs, tally.refused))
        return Written(block, tally, tuple(refused), writer.remark)


def _elsewhere(parts: Sequence[Part], output: str) -> Sequence[Part]:
    """The parts. Raises DataError when the input lies in the output folder."""
    folder = Path(output).resolve()
    for part in parts:
        for path in part.paths:
            if path.resolve().parent == folder:
                raise DataError(f"`--output` must be another folder than that of the input {path}, whose blocks would be among the inputs.")
    return parts


@final
class Shard:
    """The blocks of one shard: the finished ones, and those that remain."""

    def __init__(self, opened: OpenBlocks, share: Share):
        self._opened = opened
        self.blocks = share.of(opened.blocks)
        self.done = opened.folder.done(self.blocks)
        self.waiting = [block for block in self.blocks if block.number not in self.done]

    def write(self) -> Iterator[Written]:
        """Predict the remaining blocks one after another."""
        return map(self._opened.write, self.waiting)

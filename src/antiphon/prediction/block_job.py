"""Records what a folder of predicted blocks was made from, so that a rerun skips finished blocks, and another job is refused.

    part-00017.jsonl       the predictions of block 17, there when it is complete
    job/job.json           the inputs, the model, the settings and the size of blocks
    job/part-00017.json    of block 17: which inputs, how many were refused, the size of its file; written after it

A block is done when both of its files are there and agree. So a kill at any moment costs the blocks that were at work, and nothing else.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from antiphon.contracts.configuration import plain
from antiphon.data.content import content
from antiphon.errors import DataError
from antiphon.prediction.block_plan import Block, Part, divided, is_cut
from antiphon.prediction.helped import pairs_digest
from antiphon.prediction.orders import BlockOrder
from antiphon.prediction.predictor import Predictor
from antiphon.store.checkpoint import MANIFEST, TRAINING, digest, read_json
from antiphon.store.json_text import json_object, json_text
from antiphon.store.places import Place
from antiphon.version import __version__

FORMAT = 1
JOB = "job/job.json"
_SAID = {
    "model": "its model is another one, or has changed",
    "settings": "its settings are others ({})",
    "inputs": "its inputs are others",
    "block_records": "its blocks have {} inputs",
    "suffix": "its files end in {}",
    "format": "another version of antiphon has written it",
}


@dataclass(frozen=True)
class Done:
    """The record of a finished block."""

    inputs: int
    refused: int


@final
class JobFolder:
    """The folder of a job: what the job is about, its blocks, and which of them are finished."""

    def __init__(self, place: Place, job: Mapping[str, Any]):
        self.place, self._suffix = place, str(job["suffix"])
        self._digest = hashlib.sha256(content(_identity(job)).encode()).hexdigest()
        self.names: Sequence[str] = [str(one["name"]) for one in job["inputs"]]
        self.blocks = divided([int(one["inputs"]) for one in job["inputs"]], job["block_records"])
        self._width = max(5, len(str(len(self.blocks) - 1)))

    def stem(self, block: Block) -> str:
        """The stem of the names of a block's files; sorted by name, they are in the order of the inputs."""
        return f"part-{block.number:0{self._width}}"

    def name(self, block: Block) -> str:
        """The name of the file with a block's predictions."""
        return f"{self.stem(block)}{self._suffix}"

    def finish(self, block: Block, size: int, done: Done) -> None:
        """Mark a block as finished, after its file is in place."""
        facts = {
            "job": self._digest,
            "input": self.names[block.part],
            "first": block.start + 1,
            "last": block.stop,
            "inputs": done.inputs,
            "refused": done.refused,
            "bytes": size,
        }
        with self.place.writing(f"job/{self.stem(block)}.json") as file:
            file.write(f"{json_text(facts, ascii_only=True)}\n".encode())

    def done(self, among: Sequence[Block]) -> dict[int, Done]:
        """The finished ones among some blocks, by number."""
        sizes, markers = self.place.sizes(), self.place.sizes("job")
        found: dict[int, Done] = {}
        for block in among:
            if self.name(block) in sizes and f"{self.stem(block)}.json" in markers:
                facts = json_object(self.place.read(f"job/{self.stem(block)}.json"))
                if facts.get("job") == self._digest and facts.get("bytes") == sizes[self.name(block)]:
                    found[block.number] = Done(int(facts["inputs"]), int(facts["refused"]))
        return found

    def count_done(self) -> int:
        """The number of finished blocks, counted by file names."""
        sizes, markers = self.place.sizes(), self.place.sizes("job")
        return sum(self.name(block) in sizes and f"{self.stem(block)}.json" in markers for block in self.blocks)


def open_folder(place: Place, order: BlockOrder, predictor: Predictor, parts: Sequence[Part], say: Callable[[str], object]) -> JobFolder:
    """The folder of this job, created if it does not exist. Raises DataError if it holds another job, or other files."""
    job: dict[str, Any] = {
        "format": FORMAT,
        "model": model_digest(predictor),
        "settings": _settings(order, predictor),
        "inputs": [{"name": part.name, "sha256": part.digest()} for part in parts],
        "block_records": order.block_records if is_cut(predictor.task) else None,
        "suffix": order.suffix,
    }
    kept = json_object(place.read(JOB))
    if kept:
        _check_same(str(place), kept, job)
        return JobFolder(place, kept)
    there = next((name for name in sorted(place.sizes()) if name.startswith("part-")), None)
    if there is not None:
        raise DataError(f"{place} must be empty or hold this job, but has {there} and no {JOB}. Choose another `--output`.")
    for part, facts in zip(parts, job["inputs"], strict=True):
        facts["inputs"] = sum(1 for _ in part)
        for reason, skipped in part.records.skipped().items():
            first = f"{', '.join(skipped.first[:3])}{', ...' if skipped.count > 3 else ''}"
            say(f"{skipped.count:,} left out: {reason} ({first}).")
    with place.writing(JOB) as file:
        file.write(f"{json_text({'version': __version__, **job}, indent=1, ascii_only=True)}\n".encode())
    return JobFolder(place, job)


def model_digest(predictor: Predictor) -> str:
    """A hash of everything that prediction reads from the checkpoints."""
    total = hashlib.sha256()
    for trained in predictor.trained:
        known = read_json(trained.folder / MANIFEST)
        for path in sorted(trained.folder.rglob("*")):
            name = path.relative_to(trained.folder).as_posix()
            if path.is_file() and name != MANIFEST and not name.startswith(f"{TRAINING}/"):
                total.update(f"{name} {known.get(name) or digest(path)}\n".encode())
    return total.hexdigest()


def _settings(order: BlockOrder, predictor: Predictor) -> dict[str, Any]:
    """The settings that predictions depend on, besides the model."""
    recipe = plain(predictor.recipe)
    others = {name: value for name, value in recipe.items() if name not in ("search", "training")}
    task = predictor.task
    return {
        "search": recipe["search"],
        "recipe": hashlib.sha256(content(others).encode()).hexdigest(),
        "weights": None if order.weights is None else list(order.weights),
        "average": order.average,
        "glossary": order.glossary and [order.glossary_mode, pairs_digest(order.glossary, task, "--glossary")],
        "memory": order.memory and [order.memory_mode, pairs_digest(order.memory, task, "--memory")],
    }


def _identity(job: Mapping[str, Any]) -> dict[str, Any]:
    """The values in which two jobs must agree to be the same."""
    return {**{name: job.get(name) for name in _SAID}, "inputs": [one["sha256"] for one in job["inputs"]]}


def _check_same(place: str, kept: Mapping[str, Any], job: Mapping[str, Any]) -> None:
    """Raise DataError, with the difference, when the folder belongs to another job."""
    then, now = _identity(kept), json.loads(content(_identity(job)))
    for name, how in _SAID.items():
        if then[name] != now[name]:
            settings = [one for one in now["settings"] if then["settings"].get(one) != now["settings"][one]]
            what = how.format(", ".join(settings) if name == "settings" else then[name])
            raise DataError(f"{place} holds predictions of another job: {what}. Choose another `--output`, or remove the folder.")

"""The outputs of a teacher's search for training records, made once and stored in the student's run.

    distilled/train-0.jsonl.zst    a line for each record of the first part of the training data, in its order
    distilled/train-0.json         which teacher, search and data they belong to, and how far they are

Each line holds the number of the record and its plain columns, the target being the teacher's, so the file is training data by itself.
It grows by a zstd frame for each shard of records. A frame counts once the manifest, replaced in one step, says so; what a kill left
behind it is cut off. So nothing is lost but the shard that was being decoded, and nothing is there twice.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, final

import zstandard

from antiphon.contracts.records import Record, Records
from antiphon.contracts.sequences import Prediction
from antiphon.data.byte_streams import read_lines
from antiphon.errors import CheckpointError, DataError
from antiphon.store import checkpoint
from antiphon.store.json_text import json_text

FORMAT = 1
SHARD = 1024  # records; a kill costs at most the decoding of so many
SECONDS = 30.0  # between two words about progress

Decode = Callable[[Sequence[Record]], Sequence[Prediction]]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Manifest:
    """Describes a file of outputs: what they were made from (`teachers`, `search`, `data`, hashed in `identity`), and how many there are.

    `finished` counts why outputs ended (`Hypothesis.finish_reason`), `refused` names the first records that the teacher could not read.
    """

    identity: str
    teachers: tuple[str, ...]
    search: Mapping[str, Any]
    data: str
    records: int = 0
    bytes: int = 0
    complete: bool = False
    finished: Mapping[str, int] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    sha256: str = ""
    format: int = FORMAT


def describe(records: Records, teachers: Sequence[str], search: Mapping[str, Any], target: str) -> Manifest:
    """The manifest of outputs that do not exist yet. `teachers` are hashes; `target` is the column that receives the outputs."""
    signature = records.signature()
    identity = json.dumps([FORMAT, list(teachers), dict(search), signature, target], sort_keys=True, allow_nan=False)
    return Manifest(hashlib.sha256(identity.encode()).hexdigest(), tuple(teachers), search, signature)


@final
class Outputs:
    """A file of outputs and its manifest."""

    def __init__(self, path: Path, wanted: Manifest):
        self.path, self.manifest_path, self.wanted = path, path.with_suffix("").with_suffix(".json"), wanted

    @property
    def manifest(self) -> Manifest:
        """The manifest of the wanted outputs, as far as they exist; empty if the file holds other outputs, or is shorter than it should
        be."""
        try:
            found = json.loads(self.manifest_path.read_text(encoding="utf-8"))
            own = {**found, "teachers": tuple(found["teachers"]), "refused": tuple(found["refused"])}
            manifest = Manifest(**own)
            known = manifest.format == FORMAT and manifest.identity == self.wanted.identity
            return manifest if known and self.path.stat().st_size >= manifest.bytes else self.wanted
        except (OSError, ValueError, KeyError, TypeError):
            return self.wanted

    def make(self, records: Records, columns: Sequence[str], decode: Decode, say: Say) -> None:
        """Decode the missing outputs, in order, and store them. Does nothing when all exist. The last of the columns is the target."""
        manifest = self.manifest
        if manifest.complete:
            return
        if manifest.records:
            say(f"  {manifest.records:,} outputs are there already")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        began, spoke, before = time.monotonic(), time.monotonic(), manifest.records
        with open(self.path, "r+b" if manifest.records else "wb") as file:
            file.truncate(manifest.bytes)
            file.seek(manifest.bytes)
            items = islice(records(), manifest.records, None)
            while shard := list(islice(items, SHARD)):
                manifest = self._append(file, manifest, records, shard, columns, decode([record for _, record in shard]))
                if time.monotonic() - spoke >= SECONDS:
                    spoke = time.monotonic()
                    say(f"  {manifest.records:,} outputs, {(manifest.records - before) / (spoke - began):,.0f} a second")
        if not manifest.records:
            raise DataError("`data.train` must have records for the teacher to decode, but has none.")
        self._write(replace(manifest, complete=True, sha256=checkpoint.digest(self.path)))

    def _append(
        self,
        file: Any,
        manifest: Manifest,
        records: Records,
        shard: Sequence[tuple[int, Record]],
        columns: Sequence[str],
        predictions: Sequence[Prediction],
    ) -> Manifest:
        """Store the outputs of a shard: first the data, then the manifest that counts them."""
        lines, finished, refused = [], dict(manifest.finished), list(manifest.refused)
        for (number, record), prediction in zip(shard, predictions, strict=True):
            reason = prediction.hypothesis.finish_reason
            finished[reason] = finished.get(reason, 0) + 1
            if reason == "refused" and len(refused) < 20:
                refused.append(f"{records.label(number)}: {prediction.details.get('error', '')}")
            lines.append(json_text(_line(number, record, columns, prediction)))
        frame = zstandard.ZstdCompressor().compress(("\n".join(lines) + "\n").encode("utf-8", "surrogatepass"))
        file.write(frame)
        file.flush()
        os.fsync(file.fileno())
        size = manifest.bytes + len(frame)
        manifest = replace(manifest, records=manifest.records + len(shard), bytes=size, finished=finished, refused=tuple(refused))
        self._write(manifest)
        return manifest

    def _write(self, manifest: Manifest) -> None:
        checkpoint.replace_json(self.manifest_path, asdict(manifest))

    def notes(self) -> Iterator[str]:
        """What a user should know about finished outputs, one sentence each."""
        manifest = self.manifest
        yield f"  {manifest.records:,} outputs in {self.path}"
        unfinished = manifest.finished.get("length", 0)
        if unfinished:
            yield f"  {unfinished:,} of them reached the search's limit of length"
        if manifest.refused:
            yield f"  {manifest.finished['refused']:,} sources were refused by the teacher ({manifest.refused[0]}); their targets are empty"


@final
class TaughtRecords(Records):
    """The records of another source, with the teacher's outputs as targets. Their places are those of the original records."""

    def __init__(self, records: Records, target: str, outputs: Outputs):
        self.inner, self.target, self.outputs = records, target, outputs
        manifest = outputs.manifest
        assert manifest.complete, "outputs must be made before they are read"
        self._signature = f"{manifest.identity}:{manifest.sha256}"

    def __call__(self) -> Iterator[tuple[int, Record]]:
        lines = (json.loads(line) for _, line in read_lines(self.outputs.path))
        for (number, record), stored in zip(self.inner(), lines, strict=True):
            if stored["record"] != number:
                raise CheckpointError(f"{self.outputs.path} must hold record {number} next, but holds {stored['record']}. Remove it.")
            yield number, {**record, self.target: stored[self.target]}

    def place(self, number: int) -> str:
        return self.inner.place(number)

    def label(self, number: int) -> str:
        return self.inner.label(number)

    def signature(self) -> str:
        return self._signature


def _line(number: int, record: Record, columns: Sequence[str], prediction: Prediction) -> dict[str, Any]:
    """The columns of a record that are stored as JSON, with the teacher's output as the target."""
    plain = {name: record[name] for name in columns[:-1] if isinstance(record.get(name), str | int | float)}
    score = prediction.hypothesis.score
    told = {"score": round(score, 5) if abs(score) != float("inf") else None, "finish_reason": prediction.hypothesis.finish_reason}
    return {"record": number, **told, **plain, columns[-1]: prediction.value}

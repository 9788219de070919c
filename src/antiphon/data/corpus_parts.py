"""Joins parts of a corpus that several machines have encoded: the result is byte for byte that of a single machine.

Part k of n has every n-th block of records from block k on, so the parts end at about the same time whatever the order of the records is.
Each machine reads all records: reading a row is quick beside encoding it, and nobody has to hand out work. A part appears beside the corpus
at once or not at all, so after a kill only parts that were not finished are encoded again.
"""

import math
import shutil
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.contracts.corpus import Share
from antiphon.contracts.records import Records
from antiphon.data.corpus import check_something_left
from antiphon.data.corpus_writer import BLOCKS
from antiphon.data.folders import ArrayWriter, MappedArrays, finish, map_file, move_into_place, read_manifest, write_manifest
from antiphon.data.limits import KEPT_NUMBERS, Tally
from antiphon.data.weights import WeightWriter
from antiphon.errors import DataError
from antiphon.store.atomic import beside

_BYTES = {"dtype": "uint8", "channels": None}


def part_folder(folder: Path, part: Share) -> Path:
    """Where a part of the corpus `folder` is until all are joined; a part that is all is there at once."""
    return folder if part.is_all else _parts_of(folder) / f"{part.number + 1}-of-{part.count}"


def _parts_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.parts")


def join_if_complete(folder: Path, count: int, records: Records) -> list[Share]:
    """Join the parts of the corpus `folder` where all are there, and remove them; the parts that are missing.

    Raises DataError when they are not of one corpus, or nothing is left of the records.
    """
    parts = [Share(number, count) for number in range(count)]
    missing = [part for part in parts if not (part_folder(folder, part) / "manifest.json").exists()]
    if not missing and count > 1:
        join_parts([part_folder(folder, part) for part in parts], folder, records)
        shutil.rmtree(_parts_of(folder), ignore_errors=True)
    return missing


def join_parts(parts: Sequence[Path], folder: Path, records: Records) -> None:
    """Write one corpus to `folder` from all of its parts, in order. The parts are kept.

    Raises DataError when they are not parts of one corpus, when some records have what others lack, and when nothing is left of them.
    """
    manifests = [read_manifest(part) for part in parts]
    identity, *others = dict.fromkeys(str(manifest["whole"]) for manifest in manifests)
    if others:
        raise DataError(
            f"`{parts[0].parent}` must hold parts of one corpus, but they were made of different data or settings. Delete the folder, and"
            " give every process the same recipe and files."
        )
    filled = [manifest for manifest in manifests if manifest["tally"]["kept"]]
    tally = _joined([manifest["tally"] for manifest in manifests])
    check_something_left(records, tally)
    layouts = _agreed(filled)
    first = manifests[0]
    with beside(folder) as partial:
        weights = _copy(parts, manifests, layouts, partial, keep_records=first["keep_records"])
        facts = {"identity": identity, "limits": first["limits"], "keep_records": first["keep_records"], "tally": tally.to_plain()}
        write_manifest(partial, {**layouts, **weights, **facts})
        move_into_place(partial, folder, identity)


def _joined(tallies: Sequence[dict[str, Any]]) -> Tally:
    """The combined tally: reasons and first records in the order in which one process would have met them."""
    found = Tally(sum(one["read"] for one in tallies), sum(one["kept"] for one in tallies))
    for one in tallies:
        for reason, numbers in one["first"].items():
            found.first.setdefault(reason, []).extend(numbers)
    for reason, numbers in found.first.items():
        found.first[reason] = sorted(numbers, key=_place)[:KEPT_NUMBERS]
    found.first = dict(sorted(found.first.items(), key=lambda item: _place(item[1][0])))
    for fate in ("dropped", "truncated"):
        counts = {reason: sum(one[fate].get(reason, 0) for one in tallies) for reason in found.first}
        getattr(found, fate).update({reason: number for reason, number in counts.items() if number})
    return found


def _place(number: int | str) -> float:
    """The position of a record in reading order; entries that are no records come last."""
    return float(number) if isinstance(number, int) else math.inf


def _agreed(manifests: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The storage layout of the arrays, which must be the same in all parts."""
    for name, what in (("target", "a target"), ("links", "an alignment")):
        if len({manifest.get(name) is None for manifest in manifests}) > 1:
            raise DataError(f"All records must have {what}, or none, but only some have one.")
    return {name: manifests[0][name] for name in ("source", "target", "links", "factors") if name in manifests[0]}


def _copy(
    parts: Sequence[Path], manifests: Sequence[dict[str, Any]], layouts: dict[str, Any], folder: Path, *, keep_records: bool
) -> dict[str, Any]:
    """Copy the arrays block by block, and the weights; returns the manifest's entries for them."""
    stored = {name: layout for name, layout in layouts.items() if layout is not None} | ({"records": _BYTES} if keep_records else {})
    for name, layout in stored.items():
        filled = [
            MappedArrays(part, name, layout) if manifest["tally"]["kept"] else None for part, manifest in zip(parts, manifests, strict=True)
        ]
        writer = ArrayWriter(folder, name, np.dtype(layout["dtype"]), layout["channels"])
        for part, start, stop in _blocks(parts):
            arrays = filled[part]
            assert arrays is not None, "a block with examples is in a part with examples"
            offsets = arrays.offsets[start : stop + 1]
            writer.append_joined(arrays.values[offsets[0] : offsets[-1]], np.diff(offsets))
        writer.close()
    numbers = [map_file(part / "numbers.bin", np.dtype(np.int64)) for part in parts]
    with open(folder / "numbers.bin", "wb") as file:
        for part, start, stop in _blocks(parts):
            file.write(numbers[part][start:stop].tobytes())
        finish(file)
    if "weighing" not in manifests[0]:
        return {}
    return {"weighing": _copy_weights(parts, [manifest["weighing"] for manifest in manifests], folder)}


def _copy_weights(parts: Sequence[Path], found: Sequence[dict[str, Any]], folder: Path) -> dict[str, Any] | None:
    present = {one["present"] for one in found} - {None}
    column = found[0]["column"]
    if len(present) > 1:
        raise DataError(f"All records must have a weight in `{column}`, or none, but only some have one.")
    weights = [map_file(part / "weights.bin", np.dtype(np.float32)) for part in parts]
    writer = WeightWriter(folder, column, present=True in present)
    for part, start, stop in _blocks(parts):
        writer.append(weights[part][start:stop])
    writer.close()
    return writer.facts()


def _blocks(parts: Sequence[Path]) -> Iterator[tuple[int, int, int]]:
    """The blocks with examples, in the order of the records: (part, its first row, the row after its last)."""
    kept = [map_file(part / BLOCKS, np.dtype(np.int64)) for part in parts]
    begun = [0] * len(parts)
    for block in count():
        part, number = block % len(parts), block // len(parts)
        if number == len(kept[part]):
            return
        start, begun[part] = begun[part], begun[part] + int(kept[part][number])
        if begun[part] > start:
            yield part, start, begun[part]

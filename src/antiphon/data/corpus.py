"""Encodes records into a corpus on disk. It is encoded once, and opened again as long as records, features, limits and format are the same.

Records stream through in blocks and are appended to the files, so memory does not grow with the corpus. The folder appears at once or
not at all: it is written beside its place and renamed, so a kill at any moment leaves no half corpus behind.

Several processes, or machines, may each write a part (`build_part`); joined, the parts are the corpus that one would have written.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from antiphon.contracts.configuration import plain
from antiphon.contracts.corpus import Share
from antiphon.contracts.records import Record, Records, RecordSource
from antiphon.contracts.sequences import Example
from antiphon.data.corpus_writer import CorpusWriter
from antiphon.data.encoding import Encoding
from antiphon.data.folders import is_current, move_into_place
from antiphon.data.limits import Tally, apply_limits
from antiphon.data.mapped import MappedCorpus
from antiphon.data.records import SourceRecords
from antiphon.errors import DataError
from antiphon.store.atomic import beside

_WHOLE = Share(0, 1)


def build_corpus(records: RecordSource, encoding: Encoding, folder: Path, progress: Callable[[int], None] | None = None) -> MappedCorpus:
    """Encode records into `folder`, or open it when it was made from the same data.

    progress   called with the number of records read so far

    Raises DataError with the place of the record that cannot be read or encoded, or when nothing is left of the records.
    """
    opened = records if isinstance(records, Records) else SourceRecords(records)
    identity = encoding.identity(opened)
    if is_current(folder, identity):
        return MappedCorpus(folder, encoding.encode)
    with beside(folder) as partial:
        with CorpusWriter(partial, encoding) as writer:
            tally, _ = _encode_all(opened, encoding, writer, _WHOLE, progress)
        check_something_left(opened, tally)
        writer.write_manifest({"identity": identity, **_facts(encoding, tally)})
        move_into_place(partial, folder, identity)
    return MappedCorpus(folder, encoding.encode)


def build_part(records: RecordSource, encoding: Encoding, folder: Path, part: Share, progress: Callable[[int], None] | None = None) -> None:
    """Encode a part of the blocks of records into `folder`, unless it holds that part already; `join_parts` makes one corpus of all parts.

    progress   called with the number of records encoded so far

    Raises DataError with the place of the record that cannot be read or encoded.
    """
    opened = records if isinstance(records, Records) else SourceRecords(records)
    whole = encoding.identity(opened)
    identity = f"{whole}:{part.number}:{part.count}:{encoding.block}"
    if is_current(folder, identity):
        return
    with beside(folder) as partial:
        with CorpusWriter(partial, encoding) as writer:
            tally, blocks = _encode_all(opened, encoding, writer, part, progress)
        writer.write_part(blocks, {"identity": identity, "whole": whole, **_facts(encoding, tally)})
        move_into_place(partial, folder, identity)


def _facts(encoding: Encoding, tally: Tally) -> dict[str, object]:
    return {"limits": plain(encoding.limits), "keep_records": encoding.keep_records, "tally": tally.to_plain()}


def _encode_all(
    records: Records, encoding: Encoding, writer: CorpusWriter, part: Share, progress: Callable[[int], None] | None
) -> tuple[Tally, list[int]]:
    """Stream the part's blocks of records through the encoder and the limits into the writer; also returns the number of examples in each
    block."""
    tally, kept = Tally(), list[int]()
    for number_of_block, block in enumerate(_blocks(records(), encoding.block)):
        if number_of_block % part.count != part.number:
            continue
        examples = []
        for (number, record), example in zip(block, _encode_block(records, block, encoding), strict=True):
            example = _weighed(records, number, record, example, writer)
            taken = _limited(records, number, example, encoding, tally)
            if taken is not None:
                examples.append((number, record, taken))
        tally.read += len(block)
        tally.kept += len(examples)
        kept.append(len(examples))
        if examples:
            writer.append(examples)
        if progress is not None:
            progress(tally.read)
    if part.number == 0:
        tally.skip(records.skipped())
    return tally, kept


def _blocks(items: Iterator[tuple[int, Record]], size: int) -> Iterator[list[tuple[int, Record]]]:
    while block := list(islice(items, size)):
        yield block


def _encode_block(records: Records, block: list[tuple[int, Record]], encoding: Encoding) -> list[Example]:
    """Encode a block; if that fails, encode one record at a time, to name the wrong one."""
    if encoding.encode_many is not None:
        try:
            return encoding.encode_many(block)
        except DataError:
            pass
    examples = []
    for number, record in block:
        try:
            examples.append(encoding.encode(record, number))
        except DataError as error:
            raise DataError(f"{records.place(number)}: {error}") from error
    return examples


def _weighed(records: Records, number: int, record: Record, example: Example, writer: CorpusWriter) -> Example:
    """The example with its weight, if records have one."""
    if writer.weights is None:
        return example
    try:
        return replace(example, weight=writer.weights.of(record))
    except DataError as error:
        raise DataError(f"{records.place(number)}: {error}") from error


def _limited(records: Records, number: int, example: Example, encoding: Encoding, tally: Tally) -> Example | None:
    """Apply the limits; the record's place is only looked up for an error, since that may mean reading the file again."""
    if example.record != number:
        example = replace(example, record=number)
    try:
        return apply_limits(example, encoding.limits, encoding.source, encoding.target, tally, "A record")
    except DataError as error:
        raise DataError(str(error).replace("A record", records.place(number), 1)) from None


def check_something_left(records: Records, tally: Tally) -> None:
    """Raise DataError when no example is left."""
    if tally.kept:
        return
    if not tally.read:
        raise DataError("There must be at least one record, but there is none.")
    numbers = [number for first in tally.first.values() for number in first]
    first = min((number for number in numbers if isinstance(number, int)), default=None)
    place = numbers[0] if first is None else records.place(first)
    reasons = ", ".join(f"{count} for {reason}" for reason, count in tally.dropped.items())
    raise DataError(
        f"At least one of {tally.read} records must remain, but all were dropped: {reasons} (the first is {place}). "
        "Raise the limits, or look at the records."
    )

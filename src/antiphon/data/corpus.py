"""Encodes records into a corpus on disk. It is encoded once, and opened again as long as records, features, limits and format are the same.

Records stream through in blocks and are appended to the files, so memory does not grow with the corpus. The folder appears at once or
not at all: it is written beside its place and renamed, so a kill at any moment leaves no half corpus behind.

Several processes may encode, of which this one writes. Several machines may each write a part (`build_part`); joined, the parts are the
corpus that one would have written.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from antiphon.contracts.configuration import plain
from antiphon.contracts.corpus import WHOLE, Share
from antiphon.contracts.records import Record, Records, RecordSource
from antiphon.data.corpus_writer import CorpusWriter
from antiphon.data.encoded_blocks import RecordError
from antiphon.data.encoding import Encoding
from antiphon.data.folders import is_current, move_into_place
from antiphon.data.limits import Tally
from antiphon.data.mapped import MappedCorpus
from antiphon.data.parallel_encoding import encoded
from antiphon.data.records import SourceRecords
from antiphon.errors import DataError
from antiphon.store.atomic import beside


def build_corpus(
    records: RecordSource, encoding: Encoding, folder: Path, progress: Callable[[int], None] | None = None, workers: int = 1
) -> MappedCorpus:
    """Encode records into `folder`, or open it when it was made from the same data.

    progress   called with the number of records read so far
    workers    how many processes encode, this one included; the files are the same

    Raises DataError with the place of the record that cannot be read or encoded, or when nothing is left of the records, and what
    `parallel_encoding.encoded` raises.
    """
    opened = records if isinstance(records, Records) else SourceRecords(records)
    identity = encoding.identity(opened)
    if is_current(folder, identity):
        return MappedCorpus(folder, encoding.encode)
    with beside(folder) as partial:
        with CorpusWriter(partial, encoding) as writer:
            tally, _ = _encode_all(opened, encoding, writer, WHOLE, progress, workers)
        check_something_left(opened, tally)
        writer.write_manifest({"identity": identity, **_facts(encoding, tally)})
        move_into_place(partial, folder, identity)
    return MappedCorpus(folder, encoding.encode)


def build_part(
    records: RecordSource,
    encoding: Encoding,
    folder: Path,
    part: Share,
    progress: Callable[[int], None] | None = None,
    workers: int = 1,
) -> None:
    """Encode a part of the blocks of records into `folder`, unless it holds that part already; `join_parts` makes one corpus of all parts.
    A part that is the whole is the corpus itself.

    Arguments and errors are those of `build_corpus`; `progress` is called with the number of records encoded so far.
    """
    if part.is_all:
        build_corpus(records, encoding, folder, progress, workers)
        return
    opened = records if isinstance(records, Records) else SourceRecords(records)
    whole = encoding.identity(opened)
    identity = f"{whole}:{part.number}:{part.count}:{encoding.block}"
    if is_current(folder, identity):
        return
    with beside(folder) as partial:
        with CorpusWriter(partial, encoding) as writer:
            tally, blocks = _encode_all(opened, encoding, writer, part, progress, workers)
        writer.write_part(blocks, {"identity": identity, "whole": whole, **_facts(encoding, tally)})
        move_into_place(partial, folder, identity)


def _facts(encoding: Encoding, tally: Tally) -> dict[str, object]:
    return {"limits": plain(encoding.limits), "keep_records": encoding.keep_records, "tally": tally.to_plain()}


def _encode_all(
    records: Records, encoding: Encoding, writer: CorpusWriter, part: Share, progress: Callable[[int], None] | None, workers: int
) -> tuple[Tally, list[int]]:
    """Stream the part's blocks of records through the encoder and the limits into the writer; also returns the number of examples in each
    block."""
    tally, kept = Tally(), list[int]()
    blocks = islice(_blocks(records(), encoding.block), part.number, None, part.count)
    with closing(encoded(blocks, encoding, workers)) as made:
        try:
            for block in made:
                writer.append(block)
                tally.add(block.tally)
                kept.append(block.tally.kept)
                if progress is not None:
                    progress(tally.read)
        except RecordError as error:  # the place is looked up only now, since that may mean reading the file again
            raise error.at(records.place(error.number)) from error
    if part.number == 0:
        tally.skip(records.skipped())
    return tally, kept


def _blocks(items: Iterator[tuple[int, Record]], size: int) -> Iterator[list[tuple[int, Record]]]:
    while block := list(islice(items, size)):
        yield block


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

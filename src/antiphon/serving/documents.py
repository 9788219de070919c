"""Documents translated in the background: split into units, translated batch by batch, rebuilt, and downloaded once.

Files lie in a temporary folder of their own, and go with their document: when it was handed out, or an hour after it was done. A document
that is sent again within a minute, as clients do that hear nothing, is the one that is there.
"""

import asyncio
import hashlib
import hmac
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, final

from antiphon.contracts.files import FileConfig
from antiphon.contracts.reader import MissingError, ReaderPlugin, Rewriter, Said
from antiphon.data.file_records import FILE, STATE, UNIT, FileRecords
from antiphon.data.formats import readers
from antiphon.errors import AntiphonError, DataError, nearest
from antiphon.serving.languages import Pair
from antiphon.serving.refused import RefusedError
from antiphon.serving.service import Service
from antiphon.serving.tagged_texts import links_of

KEPT = 3600.0
"""Seconds for which a finished document is kept."""
_AGAIN = 60.0  # seconds within which the same upload is taken for a repeated one
_MOST = 100  # documents that are there at a time
_AT_WORK = 4  # documents that are translated at a time; they share workers with all other requests
_MOST_UNITS = 50_000
_PLAIN = (".txt", ".text")  # there are two readers; a document has paragraphs, not a text a line

Record = Mapping[str, Any]
Required = Callable[[str], list[str]]
"""Phrases that the translation of a text must contain."""


@final
@dataclass(eq=False)
class Document:
    """A document, the state of its translation, and the folder that holds its files."""

    pair: Pair
    name: str
    suffix: str
    required: Required
    digest: str
    folder: "tempfile.TemporaryDirectory[str]"
    identity: str = field(default_factory=lambda: secrets.token_hex(16).upper())
    key: str = field(default_factory=lambda: secrets.token_hex(32).upper())
    born: float = field(default_factory=time.monotonic)
    state: Literal["queued", "translating", "done", "error"] = "queued"
    characters: int = 0
    left: int = 0
    message: str = ""

    @property
    def source(self) -> Path:
        """The file that the client sent."""
        return Path(self.folder.name) / f"source{self.suffix}"

    @property
    def target(self) -> Path:
        """The translated file."""
        return Path(self.folder.name) / f"target{self.suffix}"


@final
class Documents:
    """The documents of a service."""

    def __init__(self, service: Service):
        self._service = service
        self._known: dict[str, Document] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(_AT_WORK)
        service.at_end.append(self.close)

    def add(self, pair: Pair, name: str, content: bytes, required: Required) -> Document:
        """Add a document and start its translation. Raises RefusedError for a format that cannot be written back, or for too many
        documents."""
        suffix = Path(name).suffix.lower()
        formats = {ending for plugin in readers() if plugin.back is not None for ending in plugin.suffixes}
        if suffix not in formats:
            known = ", ".join(sorted(formats))
            raise RefusedError(400, f"A document must be a file of {known}, but is {name[:80]!r}.{nearest(suffix, formats)}")
        digest = hashlib.sha256(repr((pair.pool.served.name, name)).encode("utf-8", "replace") + content).hexdigest()
        for one in self._known.values():
            if one.digest == digest and time.monotonic() - one.born < _AGAIN and one.state != "error":
                return one
        if len(self._known) >= _MOST:
            raise RefusedError(429, f"{_MOST} documents are here already. Try again later.", 60.0)
        document = Document(pair, name, suffix, required, digest, tempfile.TemporaryDirectory(prefix="antiphon-document-"))
        document.source.write_bytes(content)
        self._known[document.identity] = document
        task = asyncio.get_running_loop().create_task(self._translate(document))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return document

    def find(self, identity: str, key: str) -> Document:
        """The document with this number, for a client that knows its key. Raises RefusedError when there is none."""
        found = self._known.get(identity)
        if found is None or not hmac.compare_digest(found.key.encode(), key.encode("utf-8", "replace")):
            raise RefusedError(404, "There is no such document: it was handed out already, has waited for too long, or its key is another.")
        return found

    def forget(self, document: Document) -> None:
        """Remove a document and its files."""
        if self._known.pop(document.identity, None) is not None:
            document.folder.cleanup()

    def close(self) -> None:
        """Remove all documents, including those never downloaded."""
        for task in self._tasks:
            task.cancel()
        for document in list(self._known.values()):
            self.forget(document)

    async def _translate(self, document: Document) -> None:
        async with self._room:
            document.state = "translating"
            try:
                await _Translation(self._service, document).run()
                document.state = "done"
            except AntiphonError as error:
                document.state, document.message = "error", str(error).replace(str(document.source), document.name)
            except Exception as error:  # a reader that fails over a file must not take the others with it
                document.state, document.message = "error", f"{document.name} cannot be translated: {type(error).__name__}."
        asyncio.get_running_loop().call_later(KEPT, self.forget, document)


@final
class _Translation:
    """The translation of one document."""

    def __init__(self, service: Service, document: Document):
        self._service, self._document = service, document
        card = document.pair.pool.card
        assert card is not None, "started before"
        self._column = card.columns[0]

    async def run(self) -> None:
        """Read the document, predict, and write it. Raises AntiphonError when it cannot be read, or when the model predicts nothing."""
        document = self._document
        records, rewriter = await asyncio.to_thread(self._read)
        document.characters = sum(len(str(record[self._column])) for record in records)
        missing: list[tuple[Record, MissingError]] = []
        for chunk in self._chunks(records):
            missing += self._put(rewriter, chunk, await self._said(rewriter, chunk))
        for part in self._chunks([{**record, "required": [*record.get("required", ()), *lack.phrases]} for record, lack in missing]):
            try:
                document.left += len(self._put(rewriter, part, await self._said(rewriter, part)))
            except RefusedError as error:
                if error.status != 422:
                    raise
                document.left += len(part)  # the search cannot be told what to say
        document.target.write_bytes(await asyncio.to_thread(rewriter.content))

    def _read(self) -> tuple[list[Record], Rewriter]:
        document, names = self._document, (self._column, "target" if self._column != "target" else "translation")
        plugin = _reader(document.suffix)
        pair = (document.pair.source, document.pair.target) if "languages" in plugin.settings else ()
        named = "document" if document.suffix in _PLAIN else None
        file = FileRecords(FileConfig(path=str(document.source), format=named, languages=pair), Path(), names[:1], names)
        records = list[Record]()
        for _, record in file():
            required = [*record.get("required", ()), *document.required(str(record[self._column]))]
            records.append({**record, "required": required} if required else record)
            if len(records) > _MOST_UNITS:
                raise DataError(f"A document may have {_MOST_UNITS:,} units, but {document.name} has more. Cut it.")
        if file.reader.back is None:
            raise DataError(f"{document.name} is read as {file.reader.name}, which cannot be written back.")
        return records, file.reader.back(file.reading)

    def _chunks(self, records: Sequence[Record]) -> Iterator[Sequence[Record]]:
        settings = self._service.settings
        size = min(settings.batch_size, settings.max_records, settings.queue)
        return (records[start : start + size] for start in range(0, len(records), size))

    async def _said(self, rewriter: Rewriter, records: Sequence[Record]) -> list[dict[str, Any]]:
        """The predictions for some records; waits while the queue is full, and splits what takes too long into halves."""
        asked = [{name: value for name, value in record.items() if name not in (FILE, UNIT, STATE)} for record in records]
        aligned = any(rewriter.wants_links(record[UNIT]) for record in records)
        while True:
            try:
                return await self._service.predict(self._document.pair.pool.served.name, asked, aligned=aligned)
            except RefusedError as error:
                if error.status == 503 and len(records) > 1:
                    half = len(records) // 2
                    return [*await self._said(rewriter, records[:half]), *await self._said(rewriter, records[half:])]
                if error.status != 429:
                    raise
                await asyncio.sleep(error.retry_after or 1)

    def _put(self, rewriter: Rewriter, records: Sequence[Record], said: Sequence[Mapping[str, Any]]) -> list[tuple[Record, MissingError]]:
        """Write the predictions into their units; returns those that lack required phrases, to be predicted again. Units whose prediction
        does not fit stay as they were."""
        missing = list[tuple[Record, MissingError]]()
        for record, prediction in zip(records, said, strict=True):
            links = prediction.get("word_alignment") if rewriter.wants_links(record[UNIT]) else None
            try:
                if "error" in prediction:
                    raise DataError(str(prediction["error"]))
                rewriter.put(record[UNIT], Said(str(prediction["prediction"]), links_of(links)))
            except MissingError as error:
                missing.append((record, error))
            except DataError:
                self._document.left += 1
        return missing


def _reader(suffix: str) -> ReaderPlugin:
    """A reader of files that can be written back; the readers of one suffix agree on their settings."""
    return next(plugin for plugin in readers() if plugin.back is not None and suffix in plugin.suffixes)

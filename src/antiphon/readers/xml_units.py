"""Translation units in an XML file: their records, and the file rewritten with new translations."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from antiphon.contracts.reader import Located, Reading, Rewriter, Said, Skip
from antiphon.errors import DataError
from antiphon.readers.inline_tags import Inline
from antiphon.readers.placeholders import check_placeholders
from antiphon.readers.xml_elements import Change, Element, changed
from antiphon.readers.xml_tokens import escaped_value, whole, with_attributes

MACHINE = "antiphon"
"""What a file calls whoever wrote a translation, where it has room for that."""


class Holder(ABC):
    """The element that contains one or several units."""

    @abstractmethod
    def changes(self, said: Mapping[int, str]) -> Sequence[Change]:
        """The changes to the file once units, by their numbers from 0, have new targets, which are given in XML."""


@final
@dataclass(frozen=True)
class Unit:
    """A text to translate, with its translation if it has one."""

    line: int
    source: Inline
    target: Inline | None
    facts: Mapping[str, str]
    """Further columns."""
    holder: Holder
    part: int


Units = Iterator[tuple[int, Unit | Skip]]


def records(reading: Reading, units: Units) -> Located:
    """The records of units."""
    for line, unit in units:
        if isinstance(unit, Skip):
            yield line, unit
        else:
            target = {reading.target: unit.target.plain} if reading.with_targets and unit.target is not None else {}
            yield line, {**unit.facts, reading.source: unit.source.plain, **target}


@final
class XmlRewriter(Rewriter):
    """A file of units, rewritten with new targets."""

    def __init__(self, reading: Reading, units: Units):
        self._file = whole(reading.path)
        self._units = [unit for _, unit in units if isinstance(unit, Unit)]
        self._said: dict[int, str] = {}

    def wants_links(self, unit: int) -> bool:
        """True if it has tags."""
        return bool(self._units[unit - 1].source.pieces)

    def put(self, unit: int, said: Said) -> None:
        """Put in a translation, which must contain the placeholders of its source; its tags are inserted."""
        source = self._units[unit - 1].source
        if not said.text.strip():
            raise DataError("the translation is empty")
        check_placeholders(source.plain, said.text)
        self._said[unit - 1] = source.written(said)

    def content(self) -> bytes:
        """The content of the file with new targets."""
        by_holder: dict[int, tuple[Holder, dict[int, str]]] = {}
        for number, text in self._said.items():
            unit = self._units[number]
            by_holder.setdefault(id(unit.holder), (unit.holder, {}))[1][unit.part] = text
        changes = [change for holder, said in by_holder.values() for change in holder.changes(said)]
        return changed(self._file, list(dict.fromkeys(changes)))


def target_changes(parent: Element, old: Element | None, behind: Element, content: str, attributes: Mapping[str, str]) -> Iterable[Change]:
    """A new target in place of the old one, whose other attributes are kept, or as an element after another one."""
    if old is None:
        own = "".join(f' {name}="{escaped_value(value)}"' for name, value in attributes.items())
        name = f"{behind.start.prefix}target"
        yield Change(behind.stop, behind.stop, f"{parent.before(behind)}<{name}{own}>{content}</{name}>")
        return
    tag = with_attributes(old.start.raw, attributes)
    if old.end is None:
        closing = f"</{old.start.prefix}target>"
        yield Change(old.start.begin, old.start.end, f"{tag[:-2].rstrip()}>{content}{closing}")
    else:
        yield Change(old.start.begin, old.end.begin, f"{tag}{content}")

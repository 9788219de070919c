"""Units of XLIFF 2.0, 2.1 and 2.2: `unit` with `segment`s, each with `source`, `target` and its `state`.

Source: XLIFF Version 2.1, OASIS Standard, 2018, sections 4.2 and 4.7. A segment without `state` that has a target counts as translated, as
tools that know no states write it; `state="initial"` is believed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import final

from antiphon.contracts.reader import Skip
from antiphon.readers.inline_tags import Inline, inline
from antiphon.readers.xml_elements import Change, Element
from antiphon.readers.xml_tokens import with_attributes
from antiphon.readers.xml_units import MACHINE, Holder, Unit, target_changes

UNIT = "unit"
FINISHED = ("translated", "reviewed", "final")
_WAITING = "initial"
_MACHINE = "machine"


@final
class SegmentedUnit(Holder):
    """A `unit`."""

    def __init__(self, whole: Element, *, keeps_space: bool):
        self._whole, self._keeps_space = whole, keeps_space
        self._segments = whole.all("segment")

    def units(self, *, with_targets: bool, states: Sequence[str], facts: Mapping[str, str]) -> Iterator[tuple[int, Unit | Skip]]:
        """Its segments; those with a finished target, or waiting for one, count."""
        for part, segment in enumerate(self._segments):
            notes = " ".join(_notes(self._whole) + _notes(segment))  # translate-toolkit puts them into the segment
            source, target = segment.first("source"), segment.first("target")
            if source is None:
                yield segment.line, Skip("no source")
                continue
            own = "/".join(one.attributes["id"] for one in (self._whole, segment) if "id" in one.attributes)
            asked, answer = self._inline(segment, source), None if target is None else self._inline(segment, target)
            state = _state(segment, answer)
            reason = _reason(asked, answer, state, with_targets=with_targets, states=states)
            columns = {"id": own, "state": state, "note": notes, **facts}
            yield source.line, Skip(reason) if reason else Unit(source.line, asked, answer, columns, self, part)

    def _inline(self, segment: Element, element: Element) -> Inline:
        space = element.attributes.get("xml:space") or segment.attributes.get("xml:space")  # on segments by translate-toolkit
        return inline(element.children, keeps_space=self._keeps_space if space is None else space == "preserve")

    def changes(self, said: Mapping[int, str]) -> Sequence[Change]:
        """The targets, and the state of their segments, marked as machine translation."""
        changes: list[Change] = []
        for part, content in said.items():
            segment = self._segments[part]
            tag = with_attributes(segment.start.raw, {"state": "translated", "subState": f"{MACHINE}:{_MACHINE}"})
            changes.append(Change(segment.start.begin, segment.start.end, tag))
            source = segment.first("source")
            assert source is not None, "looked at before"
            changes += target_changes(segment, segment.first("target"), source, content, {})
        return changes


def _notes(element: Element) -> list[str]:
    return [note.text for holder in element.all("notes") for note in holder.all("note")]


def _state(segment: Element, target: Inline | None) -> str:
    """The state of a segment; `machine` for our own output."""
    attributes = segment.attributes
    if attributes.get("subState") == f"{MACHINE}:{_MACHINE}":
        return _MACHINE
    return attributes.get("state") or ("translated" if target is not None and target.plain else _WAITING)


def _reason(source: Inline, target: Inline | None, state: str, *, with_targets: bool, states: Sequence[str]) -> str:
    """Why a segment is no record; empty if it is one."""
    there = target is not None and bool(target.plain)
    if not source.plain:
        return "no text in its source"
    if with_targets:
        if not there:
            return "no target"
        return "" if state in (states or FINISHED) else f"state {state}"
    return "has a target" if there and state != _WAITING else ""

"""Units of XLIFF 1.2 (and 1.0, 1.1): `trans-unit` with `source`, `target` and its `state`, segmented or not.

Source: XLIFF Version 1.2, OASIS Standard, 2008. What a state says is believed, whether or not the unit is `approved` too; `approved` alone
says as much as `final`. Files of Trados (SDLXLIFF) say how far a segment is in elements of their own (`sdl:seg`), which are believed, too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from antiphon.contracts.reader import Skip
from antiphon.readers.inline_tags import Inline, inline
from antiphon.readers.xml_elements import Change, Element
from antiphon.readers.xml_tokens import Token, with_attributes
from antiphon.readers.xml_units import Holder, Unit, target_changes

UNIT = "trans-unit"
FINISHED = ("final", "signed-off", "translated")
_WAITING = ("new", "needs-translation")
_HEADER = "x-gettext-domain-header"  # XLIFF 1.2 Representation Guide for Gettext PO, 2006
_TRADOS_FINISHED = ("Translated", "ApprovedTranslation", "ApprovedSignOff")
_TRADOS_WAITING = "Unspecified"
_TRADOS_WRITTEN = {"conf": "Draft", "origin": "mt"}
_WRITTEN = {"state": "needs-review-translation", "state-qualifier": "leveraged-mt"}


@dataclass(frozen=True)
class _Segment:
    """A part of a unit: the positions of its text and of its translation."""

    name: str
    source: Element
    target: Element | None


@final
class TransUnit(Holder):
    """A `trans-unit`."""

    def __init__(self, whole: Element, *, keeps_space: bool):
        self._whole, self._keeps_space = whole, keeps_space
        self._source, self._target = whole.first("source"), whole.first("target")
        self._parted = whole.first("seg-source")
        self._trados = {one.attributes.get("id", ""): one for every in whole.all("seg-defs") for one in every.all("seg")}
        self._segments = self._found()

    def _found(self) -> list[_Segment]:
        if self._source is None:
            return []
        parts = [] if self._parted is None else list(_marked(self._parted))
        there = {} if self._target is None else {_mid(one): one for one in _marked(self._target)}
        if not parts or (self._has_text and not there and self._state not in _WAITING):
            return [_Segment("", self._source, self._target)]
        return [_Segment(_mid(part), part, there.get(_mid(part))) for part in parts]

    @property
    def _has_text(self) -> bool:
        return self._target is not None and bool(self._target.all() or self._target.text.strip())

    @property
    def _approved(self) -> bool:
        return self._whole.attributes.get("approved") == "yes"

    @property
    def _state(self) -> str:
        """The state of its target, given or inferred."""
        said = {} if self._target is None else self._target.attributes
        return said.get("state") or ("final" if self._approved else "translated" if self._has_text else "new")

    def units(self, *, with_targets: bool, states: Sequence[str], facts: Mapping[str, str]) -> Iterator[tuple[int, Unit | Skip]]:
        """Its segments; those with a finished target, or waiting for one, count."""
        notes = " ".join(note.text for note in self._whole.all("note"))
        if not self._segments:
            yield self._whole.line, Skip("no source")
        for part, segment in enumerate(self._segments):
            source = self._inline(segment.source)
            target = None if segment.target is None else self._inline(segment.target)
            name = "/".join(one for one in (self._whole.attributes.get("id", ""), segment.name) if one)
            own = {"id": name, "state": self._state_of(segment), "note": notes, **facts}
            reason = self._reason(segment, source, target, with_targets=with_targets, states=states)
            line = segment.source.line
            yield line, Skip(reason) if reason else Unit(line, source, target, own, self, part)

    def _state_of(self, segment: _Segment) -> str:
        """The state of a segment, or of its unit."""
        own = self._trados.get(segment.name)
        return self._state if own is None else own.attributes.get("conf", _TRADOS_WAITING)

    def _reason(self, segment: _Segment, source: Inline, target: Inline | None, *, with_targets: bool, states: Sequence[str]) -> str:
        """Why a segment is no record; empty if it is one."""
        there, state = target is not None and bool(target.plain), self._state_of(segment)
        if not source.plain:
            return "no text in its source"
        if self._whole.attributes.get("restype") == _HEADER:
            return "header of a PO file"
        if with_targets:
            if not there:
                return "no target"
            counts = state in states if states else self._approved or state in FINISHED or state in _TRADOS_FINISHED
            return "" if counts else f"state {state}"
        if self._approved:
            return "approved"
        if segment.name in self._trados and self._trados[segment.name].attributes.get("locked") == "true":
            return "locked"
        return "has a target" if there and state not in (*_WAITING, _TRADOS_WAITING) else ""

    def _inline(self, element: Element) -> Inline:
        return inline(element.children, keeps_space=self._keeps_space)

    def changes(self, said: Mapping[int, str]) -> Sequence[Change]:
        """The target, with a state that requests a review; an incomplete one stays waiting."""
        assert self._source is not None, "units have sources"
        behind = self._source if self._parted is None else self._parted
        done = [number in said or (one.target is not None and bool(one.target.text.strip())) for number, one in enumerate(self._segments)]
        attributes = {} if self._trados else _WRITTEN if all(done) else {"state": "needs-translation"}
        content = said[0] if self._segments[0].name == "" and len(self._segments) == 1 else self._joined(said)
        marks = [self._trados[one.name].start for number, one in enumerate(self._segments) if number in said and one.name in self._trados]
        marked = [Change(tag.begin, tag.end, with_attributes(tag.raw, _TRADOS_WRITTEN)) for tag in marks]
        return [*target_changes(self._whole, self._target, behind, content, attributes), *marked]

    def _joined(self, said: Mapping[int, str]) -> str:
        """The content of a target of several segments: its old one or, where that lacks some, that of the segmented source."""
        there = all(one.target is not None for one in self._segments)
        outer = self._target if there else self._parted
        assert outer is not None, "segments are in it"
        new = {}
        for number, one in enumerate(self._segments):
            place = one.target if there and one.target is not None else one.source
            new[place.start.begin] = said.get(number, "" if one.target is None else _content(one.target))
        return "".join(_refilled(child, new) for child in outer.children)


def _mid(mark: Element) -> str:
    return mark.attributes.get("mid", "")


def _marked(element: Element) -> Iterator[Element]:
    """The segments in an element."""
    for child in element.all():
        if child.name == "mrk" and child.attributes.get("mtype") == "seg":
            yield child
        else:
            yield from _marked(child)


def _content(element: Element) -> str:
    return "".join(child.raw for child in element.children)


def _refilled(child: Element | Token, new: Mapping[int, str]) -> str:
    """An element as written, with new content in its segments."""
    if isinstance(child, Token):
        return child.raw
    content = new.get(child.start.begin)
    if content is not None and child.end is None:
        opening = f"{child.start.raw.removesuffix('/>').rstrip()}>"
        return f"{opening}{content}</{child.start.prefix}{child.name}>" if content else child.start.raw
    if content is not None and child.end is not None:
        return f"{child.start.raw}{content}{child.end.raw}"
    return f"{child.start.raw}{''.join(_refilled(one, new) for one in child.children)}{child.end.raw if child.end else ''}"

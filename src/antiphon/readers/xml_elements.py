"""Elements of an XML file as small trees, read one unit at a time, and changes to a file at the positions of its tokens."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Union, final

from antiphon.readers.xml_tokens import Token, XmlText


@final
@dataclass
class Element:
    """An element: its tags, and its content."""

    start: Token
    children: list[Union["Element", Token]] = field(default_factory=list)
    end: Token | None = None
    """None where the element is one empty tag."""

    @property
    def name(self) -> str:
        """Its name without a prefix."""
        return self.start.name

    @property
    def attributes(self) -> dict[str, str]:
        """Its attributes, by prefixed name."""
        return self.start.attributes()

    @property
    def line(self) -> int:
        """The line where it begins, from 1."""
        return self.start.line

    @property
    def stop(self) -> int:
        """The position after it."""
        return self.start.end if self.end is None else self.end.end

    @property
    def inside(self) -> tuple[int, int]:
        """The positions where its content begins and ends."""
        return self.start.end, self.start.end if self.end is None else self.end.begin

    @property
    def text(self) -> str:
        """All text in it."""
        return "".join(child.text for child in self.children)

    @property
    def raw(self) -> str:
        """Its text as written in the file."""
        return f"{self.start.raw}{''.join(child.raw for child in self.children)}{self.end.raw if self.end else ''}"

    def all(self, *names: str) -> list["Element"]:
        """The child elements with certain names, or all."""
        return [child for child in self.children if isinstance(child, Element) and (not names or child.name in names)]

    def first(self, name: str) -> "Element | None":
        """The first child element with a name."""
        return next(iter(self.all(name)), None)

    def descendants(self, name: str) -> Iterator["Element"]:
        """The descendants with a name, but none within another of the same name."""
        for child in self.all():
            if child.name == name:
                yield child
            else:
                yield from child.descendants(name)

    def before(self, child: "Element") -> str:
        """The white space in front of a child element, which indents it."""
        place = next(number for number, one in enumerate(self.children) if one is child)
        last = self.children[place - 1] if place else None
        return last.raw if isinstance(last, Token) and last.kind == "text" and not last.raw.strip() else ""


def element(start: Token, rest: Iterator[Token]) -> Element:
    """The element that a start or empty tag begins; takes its tokens from the rest."""
    outermost = Element(start)
    if start.kind == "empty":
        return outermost
    open_ones = [outermost]
    for token in rest:
        if token.kind == "end":
            open_ones.pop().end = token
            if not open_ones:
                break
        elif token.kind in ("start", "empty"):
            inner = Element(token)
            open_ones[-1].children.append(inner)
            if token.kind == "start":
                open_ones.append(inner)
        else:
            open_ones[-1].children.append(token)
    return outermost


@dataclass(frozen=True)
class Change:
    """New text for a file in place of the characters from `begin` to `end`."""

    begin: int
    end: int
    new: str


def changed(file: XmlText, changes: Sequence[Change]) -> bytes:
    """The file with changes, which do not overlap; two at one position are made in order."""
    parts, at = [], 0
    for change in sorted(changes, key=lambda one: one.begin):
        assert change.begin >= at, "changes do not overlap"
        parts += [file.text[at : change.begin], change.new]
        at = change.end
    return file.encoded("".join([*parts, file.text[at:]]))

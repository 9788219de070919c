"""XLIFF 1.2 and 2.x, the exchange formats of translation tools."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

from antiphon.contracts.reader import Located, ReaderPlugin, Reading, Rewriter, Skip
from antiphon.errors import DataError
from antiphon.readers.language_codes import is_language
from antiphon.readers.xliff_1 import UNIT as UNIT_1
from antiphon.readers.xliff_1 import TransUnit
from antiphon.readers.xliff_2 import UNIT as UNIT_2
from antiphon.readers.xliff_2 import SegmentedUnit
from antiphon.readers.xml_elements import Change, Element, element
from antiphon.readers.xml_tokens import Token, root_of, tokens, with_attribute
from antiphon.readers.xml_units import Holder, Unit, Units, XmlRewriter, records


def read(reading: Reading) -> Located:
    """A record for each unit or, if it is segmented, each segment, with the columns id, state, note and context (its file)."""
    return records(reading, _units(reading))


def back(reading: Reading) -> Rewriter:
    """The file with targets added to units that waited for them."""
    return XmlRewriter(reading, _units(reading))


@dataclass(frozen=True)
class _Around:
    """Facts about a unit from the elements around it."""

    source: str = ""
    target: str = ""
    translate: bool = True
    keeps_space: bool = False
    original: str = ""
    names: Token | None = None
    """The tag that names the languages."""


def _units(reading: Reading) -> Units:
    path, file = reading.path, reading.file
    parts = tokens(path)
    around = [_Around()]
    version, found = "", False
    for token in parts:
        if token.kind == "end":
            around.pop()
        if token.kind not in ("start", "empty"):
            continue
        if not version:
            version = _version(reading, token)
        if token.name in (UNIT_1, UNIT_2, "bin-unit"):
            whole = element(token, parts)
            found = True
            yield from _among(reading, whole.name, _inside(around[-1], token), whole, file.languages)
        elif token.kind == "start":
            around.append(_inside(around[-1], token))
    if not version or not found:
        raise DataError(f"`{path}` has no units." if version else f"`{path}` must be XLIFF, but has no element `xliff`.")


def _version(reading: Reading, root: Token) -> str:
    """The version in the root element."""
    if root.name != "xliff":
        raise DataError(f"`{reading.path}` must be XLIFF, but its outermost element is `{root.name}`.")
    version = root.attributes().get("version", "")
    if version[:2] not in ("1.", "2."):
        raise DataError(f"`{reading.path}` must be XLIFF 1.2 or 2.x, but its version is {version!r}.")
    if version[0] == "2" and not reading.with_targets and "trgLang" not in root.attributes() and not reading.file.languages:
        raise DataError(
            f"`{reading.path}` does not say which language its targets have (`trgLang`). Set `languages` of this file, such as [en, de]."
        )
    return version


def _inside(outer: _Around, tag: Token) -> _Around:
    """Facts from within a tag."""
    attributes = tag.attributes()
    space, translate = attributes.get("xml:space"), attributes.get("translate")
    inner = replace(
        outer,
        translate=outer.translate if translate is None else translate != "no",
        keeps_space=outer.keeps_space if space is None else space == "preserve",
    )
    if tag.name == "xliff":
        return replace(inner, source=attributes.get("srcLang", ""), target=attributes.get("trgLang", ""), names=tag)
    if tag.name != "file":
        return inner
    inner = replace(inner, original=attributes.get("original", attributes.get("id", "")))
    if "source-language" not in attributes:
        return inner
    return replace(inner, source=attributes["source-language"], target=attributes.get("target-language", ""), names=tag)


def _among(reading: Reading, name: str, around: _Around, whole: Element, languages: Sequence[str]) -> Units:
    """The units of an element, or why there are none."""
    reason = ""
    if name == "bin-unit":
        reason = "binary"
    elif not around.translate:
        reason = "not to be translated"
    elif languages and not all(
        not own or is_language(own, one) for own, one in zip((around.source, around.target), languages, strict=True)
    ):
        reason = "other languages"
    if reason:
        yield whole.line, Skip(reason)
        return
    holder = (TransUnit if name == UNIT_1 else SegmentedUnit)(whole, keeps_space=around.keeps_space)
    found = holder.units(with_targets=reading.with_targets, states=reading.file.states, facts={"context": around.original})
    if not reading.with_targets:
        found = ((line, Skip("a message with choices") if _has_choices(unit) else unit) for line, unit in found)
    if around.target or not languages or around.names is None:
        yield from found
        return
    names = "trgLang" if around.names.name == "xliff" else "target-language"
    named = _Named(holder, Change(around.names.begin, around.names.end, with_attribute(around.names.raw, names, languages[1])))
    yield from ((line, unit if isinstance(unit, Skip) else replace(unit, holder=named)) for line, unit in found)


_CHOICES = re.compile(r"\{\s*\w+\s*,\s*(?:plural|select|selectordinal)\s*,")


def _has_choices(unit: Unit | Skip) -> bool:
    """Whether a text is an ICU message with forms for numbers or genders, whose syntax a model would break. Angular writes such units."""
    return isinstance(unit, Unit) and _CHOICES.search(unit.source.plain) is not None


@final
class _Named(Holder):
    """An element in a file that does not declare its target language yet."""

    def __init__(self, within: Holder, naming: Change):
        self._within, self._naming = within, naming

    def changes(self, said: Mapping[int, str]) -> Sequence[Change]:
        """The changes within, and the declaration of the language."""
        return [self._naming, *self._within.changes(said)]


plugin = ReaderPlugin(
    name="xliff",
    summary="XLIFF 1.2 and 2.x: units with their states, inline tags put back; `languages`, `states`",
    suffixes=(".xlf", ".xliff", ".sdlxliff"),
    read=read,
    back=back,
    recognizes=lambda opening: root_of(opening) == "xliff",
    settings=frozenset({"languages", "states"}),
    unit="unit",
)

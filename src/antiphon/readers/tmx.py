"""TMX 1.4, the format of translation memories: units with a variant for each language.

Source: TMX 1.4b, LISA OSCAR, 2005. A variant's language is `xml:lang` or, as in TMX 1.1 and in files of OmegaT, `lang`.

Unusual here: a wanted language takes all of its variants where a unit has none of just its name, each of which makes a record: `en` takes
`en-GB` and `en-US`.
"""

from collections.abc import Mapping, Sequence
from typing import final

from antiphon.contracts.reader import Located, ReaderPlugin, Reading, Rewriter, Skip
from antiphon.errors import DataError
from antiphon.readers.inline_tags import Inline, inline
from antiphon.readers.language_codes import is_exactly, is_language
from antiphon.readers.xml_elements import Change, Element, element
from antiphon.readers.xml_tokens import Token, escaped_value, root_of, tokens, with_attribute
from antiphon.readers.xml_units import MACHINE, Holder, Unit, Units, XmlRewriter, records

_TRANSLATED, _MACHINE = "translated", "machine"


def read(reading: Reading) -> Located:
    """A record for each pair of variants, with the columns id, state (translated, or machine if written by us), note and languages."""
    return records(reading, _units(reading))


def back(reading: Reading) -> Rewriter:
    """The file with added target-language variants in units that lacked one."""
    return XmlRewriter(reading, _units(reading))


def _units(reading: Reading) -> Units:
    languages = reading.file.languages or _languages(reading)
    found = False
    parts = tokens(reading.path)
    for token in parts:
        if token.name == "tu" and token.kind in ("start", "empty"):
            found = True
            yield from _among(reading, element(token, parts), languages)
    if not found:
        raise DataError(f"`{reading.path}` has no translation units (`tu`).")


def _languages(reading: Reading) -> Sequence[str]:
    """The source language, from the header, and the other one. Raises DataError if there is none, or more than one."""
    codes: dict[str, str] = {}
    source, header = "", False
    for token in tokens(reading.path):
        if token.name == "header" and token.kind in ("start", "empty"):
            source, header = token.attributes().get("srclang", ""), True
        elif token.name == "tuv" and token.kind == "start":
            code = _code(token)
            codes.setdefault(code.casefold(), code)
            if len(codes) > _MANY:
                break
    others = [code for code in codes.values() if not is_language(code, source)]
    if not header or source in ("", "*all*") or len(others) != 1 or len(others) == len(codes) > 1:
        there = f"{', '.join(codes.values())}{', ...' if len(codes) > _MANY else ''}" or "no language"
        raise DataError(f"`{reading.path}` has variants in {there}. Set `languages` of this file to two of them, such as [en, de].")
    return source, others[0]


_MANY = 20


def _code(tag: Token) -> str:
    attributes = tag.attributes()
    return attributes.get("xml:lang") or attributes.get("lang") or ""


def _among(reading: Reading, whole: Element, languages: Sequence[str]) -> Units:
    """The pairs of variants in a unit, or the source that waits for its target."""
    variants = [one for one in whole.all("tuv") if one.first("seg") is not None]
    sources, targets = (_variants(variants, wanted) for wanted in languages)
    if is_language(languages[0], languages[1]):  # [en-GB, en]: the other variants of en
        targets = [one for one in targets if one not in sources]
    else:
        sources = [one for one in sources if one not in targets]
    if not sources:
        yield whole.line, Skip("not in the language of the sources")
        return
    if not reading.with_targets:
        yield _to_answer(whole, sources[0], targets, languages[1])
        return
    if not targets:
        yield whole.line, Skip("no target")
    for source in sources:
        for target in targets:
            yield target.line, _pair(reading, whole, source, target)


def _variants(variants: Sequence[Element], wanted: str) -> list[Element]:
    """The variants whose language is exactly the given one, or else those in a variety of it."""
    return [one for one in variants if is_exactly(_code(one.start), wanted)] or [
        one for one in variants if is_language(_code(one.start), wanted)
    ]


def _pair(reading: Reading, whole: Element, source: Element, target: Element) -> Unit | Skip:
    asked, answer = _segment(source), _segment(target)
    attributes = target.attributes
    state = _MACHINE if attributes.get("creationid") == MACHINE and "changeid" not in attributes else _TRANSLATED
    if not asked.plain:
        return Skip("no text in its source")
    if not answer.plain:
        return Skip("no target")
    if state not in (reading.file.states or (_TRANSLATED,)):
        return Skip(f"state {state}")
    return Unit(
        target.line, asked, answer, _facts(whole, source, state, _code(target.start)), _TranslationUnit(whole, source, target, ""), 0
    )


def _to_answer(whole: Element, source: Element, targets: Sequence[Element], language: str) -> tuple[int, Unit | Skip]:
    asked = _segment(source)
    if not asked.plain:
        return whole.line, Skip("no text in its source")
    if any(_segment(target).plain for target in targets):
        return whole.line, Skip("has a target")
    holder = _TranslationUnit(whole, source, targets[0] if targets else None, language)
    return source.line, Unit(source.line, asked, None, _facts(whole, source, "new", language), holder, 0)


def _facts(whole: Element, source: Element, state: str, language: str) -> Mapping[str, str]:
    notes = " ".join(note.text for note in whole.all("note"))
    return {"id": whole.attributes.get("tuid", ""), "state": state, "note": notes, "languages": f"{_code(source.start)} {language}"}


def _segment(variant: Element) -> Inline:
    """The text of a variant; white space is significant in TMX, except for the line ends of indented files."""
    return inline(_seg(variant).children, keeps_space=variant.attributes.get("xml:space") == "preserve")


def _seg(variant: Element) -> Element:
    seg = variant.first("seg")
    assert seg is not None, "looked at before"
    return seg


@final
class _TranslationUnit(Holder):
    """A `tu` that gets a variant."""

    def __init__(self, whole: Element, source: Element, empty: Element | None, language: str):
        self._whole, self._source, self._empty, self._language = whole, source, empty, language

    def changes(self, said: Mapping[int, str]) -> Sequence[Change]:
        """Adds a variant after the last one, indented like the source, or fills the empty one; it is marked as ours."""
        if self._empty is not None:
            return self._filled(self._empty, said[0])
        source, last = self._source, self._whole.all("tuv")[-1]
        prefix, name = source.start.prefix, "xml:lang" if "xml:lang" in source.attributes else "lang"
        tag = f'<{prefix}tuv {name}="{escaped_value(self._language)}" creationid="{MACHINE}">'
        inside = f"{source.before(_seg(source))}<{prefix}seg>{said[0]}</{prefix}seg>{_before_end(source)}"
        return [Change(last.stop, last.stop, f"{self._whole.before(source)}{tag}{inside}</{prefix}tuv>")]

    def _filled(self, variant: Element, content: str) -> Sequence[Change]:
        """A variant with a text filled in, otherwise unchanged."""
        tag, seg = variant.start, _seg(variant)
        marked = Change(tag.begin, tag.end, with_attribute(tag.raw, "creationid", MACHINE))
        opening = seg.start.raw if seg.end is not None else f"{seg.start.raw[:-2].rstrip()}>"
        closing = "" if seg.end is not None else f"</{seg.start.prefix}seg>"
        return [marked, Change(seg.start.begin, seg.inside[1], f"{opening}{content}{closing}")]


def _before_end(variant: Element) -> str:
    """The white space before the end of a variant."""
    last = variant.children[-1]
    return last.raw if isinstance(last, Token) and not last.raw.strip() else ""


plugin = ReaderPlugin(
    name="tmx",
    summary="TMX 1.4: pairs of variants, by `languages`, inline tags put back",
    suffixes=(".tmx",),
    read=read,
    back=back,
    recognizes=lambda opening: root_of(opening) == "tmx",
    settings=frozenset({"languages", "states"}),
    unit="unit",
)

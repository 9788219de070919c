"""TBX, the format of term bases: pairs of terms in two languages, as a glossary or as training data.

Source: ISO 30042:2019 (version 3: `conceptEntry`, `langSec`, `termSec`) and ISO 30042:2008 (`termEntry`, `langSet`, `tig` or `ntig`), with
what TBX-Basic says of a term: its administrative status.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from antiphon.contracts.reader import Located, ReaderPlugin, Reading, Skip
from antiphon.errors import DataError
from antiphon.readers.language_codes import is_exactly, is_language
from antiphon.readers.xml_elements import Element, element
from antiphon.readers.xml_tokens import root_of, tokens

_ENTRIES = ("conceptEntry", "termEntry")
_LANGUAGES = ("langSec", "langSet")
_SUFFIX = re.compile(r"(?:Term)?(?:-admn-sts)?$")
_AVOIDED = ("deprecated", "superseded", "obsolete")
_RANKS = {"preferred": 0, "": 1, "admitted": 2}


@dataclass(frozen=True)
class _Term:
    text: str
    status: str
    line: int


def read(reading: Reading) -> Located:
    """A record for each pair of a source-language and a target-language term of a concept, preferred ones first, with the columns id, state
    (the status of the target: preferred, admitted, or empty) and note (the definition, if any)."""
    languages = reading.file.languages
    if not languages:
        raise DataError(f"`{reading.path}` has terms of several languages. Set `languages` of this file to two of them, such as [en, de].")
    found = False
    parts = tokens(reading.path)
    for token in parts:
        if token.kind == "start" and token.name in _ENTRIES:
            found = True
            yield from _pairs(reading, element(token, parts))
    if not found:
        raise DataError(f"`{reading.path}` has no concepts (`conceptEntry`, or `termEntry`).")


def _pairs(reading: Reading, concept: Element) -> Located:
    sources, targets = (_terms(concept, wanted) for wanted in reading.file.languages)
    if not sources:
        yield concept.line, Skip("not in the language of the sources")
        return
    wanted = [term for term in targets if term.status not in _AVOIDED]
    if not wanted:
        yield concept.line, Skip("no term to use in the language of the targets" if targets else "no target")
        return
    for _ in range(len(targets) - len(wanted)):
        yield concept.line, Skip("a target to avoid")
    note = " ".join(one.text.strip() for name in ("descrip", "definition") for one in concept.descendants(name))
    for source in sources:
        for target in sorted(wanted, key=lambda term: _RANKS.get(term.status, 3)):
            facts = {"id": concept.attributes.get("id", ""), "state": target.status, "note": note}
            yield source.line, {**facts, reading.source: source.text, reading.target: target.text}


def _terms(concept: Element, wanted: str) -> list[_Term]:
    sections = [one for name in _LANGUAGES for one in concept.descendants(name)]
    codes = [one.attributes.get("xml:lang") or one.attributes.get("lang") or "" for one in sections]
    exact = any(is_exactly(code, wanted) for code in codes)
    fits = is_exactly if exact else is_language
    return [term for section, code in zip(sections, codes, strict=True) if fits(code, wanted) for term in _terms_in(section)]


def _terms_in(section: Element) -> Iterator[_Term]:
    for holder in section.all("termSec", "tig", "ntig"):
        term = next(holder.descendants("term"), None)
        text = "" if term is None else " ".join(term.text.split())
        if term is not None and text:
            yield _Term(text, _status(holder), term.line)


def _status(holder: Element) -> str:
    """Whether a term is preferred, admitted, deprecated or superseded; empty if that is not given."""
    notes = [
        one.text
        for one in holder.descendants("termNote")
        if one.attributes.get("type") in ("administrativeStatus", "normativeAuthorization")
    ]
    notes += [one.text for one in holder.descendants("administrativeStatus")]
    return _SUFFIX.sub("", notes[0].strip()) if notes else ""


plugin = ReaderPlugin(
    name="tbx",
    summary="TBX 2 and 3, term bases: pairs of terms, by `languages`; for glossaries",
    suffixes=(".tbx",),
    read=read,
    recognizes=lambda opening: root_of(opening) in ("tbx", "martif"),
    settings=frozenset({"languages"}),
    unit="term",
)

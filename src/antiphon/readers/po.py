"""gettext PO files: each message of a program, or each plural form of one, is a unit.

A text is read without the key of a label (`_File`); a translation gets it again, begins and ends with the blanks and line ends of its
source, and is marked fuzzy. What gettext's own check would refuse is not written.

Unusual here: the file is taken apart by places in its text, and written by replacing texts in quotes; nothing else can change.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import final

from antiphon.contracts.reader import Located, ReaderPlugin, Reading, Rewriter, Said, Skip
from antiphon.errors import ConfigError, DataError, nearest
from antiphon.readers.accelerators import accelerator_mark, with_accelerator, without_accelerator, without_marks
from antiphon.readers.format_strings import fitted
from antiphon.readers.po_entries import SINGULAR, WIDTH, Entry, entries, quoted
from antiphon.readers.po_plurals import PluralForms, plural_forms
from antiphon.readers.po_text import PoText

_OPENING = re.compile(rb'^\s*msgid(?:_plural)?\s+".*^\s*msgstr(?:\[\d+\])?\s*"', re.MULTILINE | re.DOTALL)


@final
@dataclass(frozen=True)
class _Unit:
    """A text to translate, and its translation, which may be empty. `mark` is that of accelerators in this file, `language` its target
    language."""

    entry: Entry
    form: int
    source: str
    target: str
    mark: str | None
    language: str

    @property
    def state(self) -> str:
        if self.entry.obsolete:
            return "obsolete"
        return "untranslated" if not self.target else "fuzzy" if self.entry.is_fuzzy else "translated"

    def record(self, reading: Reading) -> dict[str, object]:
        """Source and target without the accelerator, and further columns."""
        source, letter = without_accelerator(self.source, self.mark)
        target = without_accelerator(self.target, self.mark)[0] if letter else self.target
        return {
            reading.source: source,
            **({reading.target: target} if target else {}),
            "state": self.state,
            "context": self.entry.context,
            "note": self.entry.note,
            "form": None if self.form == SINGULAR else self.form,
            "language": self.language,
        }


def read(reading: Reading) -> Located:
    """A record for each unit: source and target, `state`, `context` (msgctxt), `note` (comments), `form` (the number of a plural form),
    `language`."""
    for line, unit in _chosen(reading, PoText.of(reading)):
        yield line, unit if isinstance(unit, Skip) else unit.record(reading)


def _chosen(reading: Reading, text: PoText) -> Iterator[tuple[int, _Unit | Skip]]:
    """All units of a file in order; for units that are not wanted, the reason."""
    wanted = _states(reading)
    for unit in _units(reading, text):
        blank = Skip("blank") if not unit.source.strip() else None
        yield unit.entry.line, blank or (unit if unit.state in wanted else Skip(unit.state))


def _states(reading: Reading) -> tuple[str, ...]:
    """The states of the wanted units. Raises ConfigError for a state that wanted units cannot have."""
    allowed = ("translated", "fuzzy", "obsolete") if reading.with_targets else ("untranslated", "fuzzy", "translated")
    for state in reading.file.states:
        if state not in allowed:
            purpose = "that have targets" if reading.with_targets else "to translate"
            raise ConfigError(
                f"`states` of `{reading.path}` must be among {', '.join(allowed)}, for units {purpose}, but has {state!r}."
                f"{nearest(state, allowed)}"
            )
    return reading.file.states or allowed[:1]


def _units(reading: Reading, text: PoText) -> Iterator[_Unit]:
    found = list(entries(text.text, reading.path, text.encoding))
    header = next((entry.strings[SINGULAR].text for entry in found if entry.is_header and SINGULAR in entry.strings), "")
    texts = [entry for entry in found if not entry.is_header]
    named = _said(header, "X-Accelerator-Marker")
    mark = accelerator_mark([entry.source for entry in texts]) if named is None else named[:1]
    language = _said(header, "Language") or ""
    forms = _forms(header, texts, f"`{reading.path}`")
    for entry in texts:
        if entry.plural is None:
            yield _Unit(entry, SINGULAR, entry.source, entry.strings[SINGULAR].text, mark, language)
            continue
        for form in entry.strings if entry.obsolete else sorted({*range(forms.count), *entry.strings}):
            target = entry.strings[form].text if form in entry.strings else ""
            yield _Unit(entry, form, forms.source(form, entry.source, entry.plural), target, mark, language)


def _said(header: str, field: str) -> str | None:
    """The value of a header field; None if it is missing."""
    found = re.search(rf"^{field}:(.*)$", header, re.MULTILINE | re.IGNORECASE)
    return found[1].strip() if found else None


def _forms(header: str, texts: Iterable[Entry], place: str) -> PluralForms:
    """The number of plural forms in the header; if it is missing, the number of forms that exist."""
    told = plural_forms(header, place)
    if told is not None:
        return told
    most = max((1 + max(entry.strings) for entry in texts if entry.plural is not None), default=2)
    return replace(PluralForms(), count=most)


@final
class PoRewriter(Rewriter):
    """A PO file rewritten with new translations, each of which is marked fuzzy."""

    def __init__(self, reading: Reading):
        self._file = PoText.of(reading)
        self._units = [unit for _, unit in _chosen(reading, self._file) if not isinstance(unit, Skip)]
        self._note = " ".join((reading.file.note or "").split())
        self._said: dict[int, tuple[Entry, dict[int, str]]] = {}
        lines = self._file.text.split("\n")
        self._width = 0 if any(len(line) > WIDTH + 1 and re.search(r'" *\S+ .*"', line) for line in lines if line[:1] != "#") else WIDTH

    def put(self, unit: int, said: Said) -> None:
        """Put in a translation, after restoring the accelerator, the blanks at its edges and the order of placeholders."""
        one = self._units[unit - 1]
        if not said.text.strip():
            raise DataError("the translation is empty")
        source, letter = without_accelerator(one.source, one.mark)
        begin, end = len(source) - len(source.lstrip()), len(source.rstrip())
        own = one.mark is not None and one.mark not in source  # then a mark that the model says would be one too many
        plain = without_marks(said.text, one.mark) if own and one.mark else said.text
        text = fitted(source, source[:begin] + plain.strip() + source[end:], one.entry.flags)
        if letter is not None and one.mark is not None:
            text = with_accelerator(text, one.mark, letter)
        if not self._file.can_write(text):
            raise DataError(f"the charset of the file, {self._file.encoding}, cannot write the translation")
        self._said.setdefault(one.entry.start, (one.entry, {}))[1][one.form] = text

    def content(self) -> bytes:
        """The content of the file with the new translations."""
        text, pieces, place = self._file.text, list[str](), 0
        edits = sorted(edit for entry, said in self._said.values() for edit in self._edits(entry, said))
        for begin, end, new in edits:
            pieces += (text[place:begin], new)
            place = end
        return "".join([*pieces, text[place:]]).encode(self._file.encoding)

    def _edits(self, entry: Entry, said: dict[int, str]) -> Iterator[tuple[int, int, str]]:
        """(from, to, new text) for each change of an entry."""
        yield from self._noted(entry)
        yield from self._marked(entry)
        yield from self._strings(entry, said)

    def _marked(self, entry: Entry) -> Iterator[tuple[int, int, str]]:
        """The edits that mark the entry as fuzzy."""
        if entry.is_fuzzy:
            return
        flags = next((place for place, comment in entry.comments if comment.startswith("#,")), None)
        if flags is not None:
            yield flags + 2, flags + 2, " fuzzy,"
            return
        yield self._line_before(min([entry.start, *(place for place, comment in entry.comments if comment.startswith("#|"))]), "#, fuzzy")

    def _noted(self, entry: Entry) -> Iterator[tuple[int, int, str]]:
        """The comment from the recipe, unless the entry has it already; comments of translators come first."""
        if self._note and self._note not in entry.note.split("\n"):
            own = [place for place, comment in entry.comments if not comment.startswith("# ") and comment != "#"]
            yield self._line_before(min([entry.start, *own]), f"# {self._note}")

    def _line_before(self, place: int, line: str) -> tuple[int, int, str]:
        """An edit that inserts a line before that of a place."""
        text, line_end = self._file.text, self._file.line_end
        begin = text.rfind("\n", 0, place) + 1
        if text[begin:place].strip(" \t\ufeff"):  # the entry before it ends on the same line
            return place, place, f"{line_end}{line}{line_end}"
        begin += text[begin:place].count("\ufeff")
        return begin, begin, f"{line}{line_end}"

    def _strings(self, entry: Entry, said: dict[int, str]) -> Iterator[tuple[int, int, str]]:
        """The new texts in their places, or after the last one."""
        more, last = [], max(part.end for part in entry.strings.values())
        for form in range(SINGULAR, max(said) + 1):
            name = "msgstr " if form == SINGULAR else f"msgstr[{form}] "
            text = quoted(said.get(form, ""), self._width and self._width - len(name), self._file.line_end)
            if form in entry.strings:
                part = entry.strings[form]
                if form in said:
                    yield part.start, part.end, text
            elif form != SINGULAR:
                more.append(f"{self._file.line_end}{name}{text}")
        if more:
            yield last, last, "".join(more)


plugin = ReaderPlugin(
    name="po",
    summary="texts of programs (gettext); translations are written back, marked fuzzy",
    suffixes=(".po", ".pot"),
    read=read,
    recognizes=lambda opening: _OPENING.search(opening) is not None,
    back=PoRewriter,
    settings=frozenset({"encoding", "states", "note"}),
    unit="unit",
)

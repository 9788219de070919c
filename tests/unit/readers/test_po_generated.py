"""Generated PO files: no unit, placeholder or comment is lost, and nothing but waiting targets changes."""

import itertools
import re
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from antiphon.contracts.files import FileConfig
from antiphon.contracts.reader import Reading, Said, Skip
from antiphon.readers.po import PoRewriter, read
from tests.generated import on_generated_files, over

HEAD = (
    'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n"X-Accelerator-Marker: \\n"\n'
    '"Plural-Forms: nplurals=3; plural=n==1 ? 0 : n<5 ? 1 : 2;\\n"\n'
)
PIECES = st.sampled_from(
    ["%s", "{name}", "<b>", "\n", "\t", '"', "\\", "  ", "\u00a0", "\u2028", "ł", "word ", "中文", "#~", "msgid", "\x1b"]
)
TEXTS = st.lists(PIECES | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5), min_size=1, max_size=30)
COMMENTS = st.sampled_from(
    ["# of a translator", "#", "#. of a programmer", "#: a.c:3", "#, c-format", '#| msgid "before"', "#, fuzzy", "#=x"]
)


def quote(text: str, cuts: list[int]) -> str:
    """A text in quotes, cut anywhere into several lines."""
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    parts = [text[one:two] for one, two in itertools.pairwise(places)] or [""]
    return "\n".join('"' + part.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r") + '"' for part in parts)


@st.composite
def entry(draw: Any) -> str:
    text = "".join(draw(TEXTS))
    cuts = draw(st.lists(st.integers(0, 60), max_size=3))
    target = draw(st.sampled_from(["", "done"]))
    lines = [*draw(st.lists(COMMENTS, max_size=4))]
    body = [f"msgctxt {quote('c', [])}"] if draw(st.booleans()) else []
    body.append(f"msgid {quote(text, cuts)}")
    if draw(st.booleans()):
        body += [f"msgid_plural {quote(text, cuts)}", *(f"msgstr[{form}] {quote(target, [])}" for form in range(draw(st.integers(1, 3))))]
    else:
        body.append(f"msgstr {quote(target, [])}")
    gone = draw(st.booleans()) and draw(st.booleans())
    return "\n".join([*lines, *(f"#~ {line}" if gone else line for part in body for line in part.split("\n"))])


def units(path: Path, *states: str, targets: bool = False) -> tuple[Reading, list[Any]]:
    one = Reading(path, FileConfig(path=str(path), states=states), ("source", "target") if targets else ("source",), "source", "target")
    return one, [record for _, record in read(one) if not isinstance(record, Skip)]


def bare(text: str) -> str:
    """A file without what may change: targets, and marks of what is fuzzy."""
    found = re.sub(r'^msgstr(\[\d\])?[ \t]*("(?:[^"\\\n]|\\.)*"\s*)+', "", text, flags=re.MULTILINE)
    return re.sub(r"^#, fuzzy\r?\n", "", found.replace("#, fuzzy, c-format", "#, c-format"), flags=re.MULTILINE)


def check(entries: list[str], end: str, final: bool, path: Path) -> None:
    text = (end * 2).join([HEAD.replace("\n", end), *(one.replace("\n", end) for one in entries)]) + end * final
    path.write_bytes(text.encode())
    one, waiting = units(path)
    wanted = sum(
        (3 if "msgid_plural" in entry else 1) if '"done"' not in entry else (3 - entry.count('"done"') if "msgid_plural" in entry else 0)
        for entry in entries
        if not any(line.startswith("#~ ") for line in entry.split("\n")) and _says(entry)
    )
    assert len(waiting) == wanted
    rewriter = PoRewriter(one)
    assert rewriter.content() == path.read_bytes()
    for number, record in enumerate(waiting, 1):
        rewriter.put(number, Said(record["source"]))
    new = rewriter.content()
    assert bare(new.decode()) == bare(text)
    path.write_bytes(new)
    assert units(path)[1] == []
    known = [(record["source"], record["context"], record["form"]) for record in waiting]
    put = [record for record in units(path, "fuzzy", targets=True)[1] if record["target"] != "done"]
    assert [(record["source"], record["context"], record["form"]) for record in put] == known
    assert all(record["target"] == record["source"] for record in put)


def _says(entry: str) -> bool:
    quoted = re.search(r'^msgid ((?:"(?:[^"\\\n]|\\.)*"\n?)+)', entry, re.MULTILINE)
    assert quoted is not None
    said = "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', quoted[1]))
    return bool(said.replace("\\n", "").replace("\\r", "").strip())


@on_generated_files
def test_nothing_is_lost(tmp_path: Path, count: int) -> None:
    def generated(entries: list[str], end: str, final: bool) -> None:
        check(entries, end, final, tmp_path / "a.po")

    over(count, generated, entries=st.lists(entry(), max_size=6), end=st.sampled_from(["\n", "\r\n"]), final=st.booleans())

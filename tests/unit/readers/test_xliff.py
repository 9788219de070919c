"""XLIFF 1.2 and 2.x: units to learn from, units that wait, and files that come back with nothing changed but targets."""

import codecs
import re
from pathlib import Path

import pytest
from hypothesis import strategies as st

from antiphon.contracts.reader import MissingError, Said
from antiphon.errors import ConfigError, DataError
from tests.generated import on_generated_files, over
from tests.unit.readers.translating import answered, learned, opened, waiting

# Written by po2xliff of translate-toolkit 3.20.4 from a PO file with an untranslated, a translated, a fuzzy and a plural message.
TOOLKIT_1 = """<?xml version="1.0" encoding="UTF-8"?>
<xliff xmlns="urn:oasis:names:tc:xliff:document:1.1" version="1.1">
  <file original="de.po" source-language="en-US" datatype="plaintext" target-language="de">
    <body>
      <trans-unit xml:space="preserve" id="2" approved="no" restype="x-gettext-domain-header">
        <source>Content-Type: text/plain; charset=UTF-8
Language: de
</source>
        <target state="translated">Content-Type: text/plain; charset=UTF-8
Language: de
</target>
      </trans-unit>
      <trans-unit xml:space="preserve" id="3">
        <source>Open the file %s &amp; close it</source>
        <target></target>
        <context-group name="po-reference" purpose="location">
          <context context-type="sourcefile">src/main.c</context>
        </context-group>
        <note from="developer">a note of the author</note>
      </trans-unit>
      <trans-unit xml:space="preserve" id="4" approved="yes">
        <source>Save &lt;b&gt;all&lt;/b&gt; files</source>
        <target state="translated">Alle Dateien &lt;b&gt;sichern&lt;/b&gt;</target>
      </trans-unit>
      <trans-unit xml:space="preserve" id="5" approved="no">
        <source>The number is large</source>
        <target state="needs-translation">Die Zahl</target>
      </trans-unit>
      <group restype="x-gettext-plurals" id="6" approved="yes">
        <trans-unit xml:space="preserve" id="6[0]" approved="yes">
          <source>One file</source>
          <target state="translated">Eine Datei</target>
        </trans-unit>
      </group>
    </body>
  </file>
</xliff>
"""

# Written by translate.storage.xliff2 of translate-toolkit 3.20.4.
TOOLKIT_2 = """<?xml version="1.0" encoding="UTF-8"?>
<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="en" trgLang="de">
  <file id="f1">
    <unit id="a">
      <segment xml:space="preserve"><source>Open the file %s &amp; close it</source>
      </segment>
    </unit>
    <unit id="b">
      <segment xml:space="preserve"><source>Save all</source>
        <target>Alles sichern</target>
        <notes>
          <note>menu</note>
        </notes>
      </segment>
    </unit>
  </file>
</xliff>
"""

SEGMENTED = """<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">
 <!-- <trans-unit> -->
 <file original="a.html" source-language="en-GB" target-language="de-AT" datatype="html"><body>
  <trans-unit id="1"><source>One <g id="1">a. Two</g>.</source><seg-source><g id="1"><mrk mtype="seg" mid="0">One a.</mrk> <mrk mtype="seg"
   mid="1">Two.</mrk></g></seg-source></trans-unit>
  <trans-unit id="2"><source>A. B.</source><seg-source><mrk mtype="seg" mid="0">A.</mrk> <mrk mtype="seg" mid="1">B.</mrk></seg-source>
   <target> <mrk mtype="seg" mid="0">AA.</mrk><mrk mtype="seg" mid="1"/></target><alt-trans><target>x</target></alt-trans></trans-unit>
  <trans-unit id="3" translate="no"><source>X</source></trans-unit>
  <bin-unit id="4" mime-type="x"><bin-source/></bin-unit>
  <group translate="no"><trans-unit id="5"><source>Y</source></trans-unit></group>
  <trans-unit id="6" approved="yes"><source>F</source><target>G</target></trans-unit>
  <trans-unit id="7"><source><x id="1"/></source></trans-unit>
 </body></file>
 <file original="b.html" source-language="fr" target-language="de" datatype="html"><body>
  <trans-unit id="1"><source>Un</source></trans-unit></body></file>
</xliff>"""

XLIFF_2 = """<?xml version="1.0"?>
<xlf:xliff xmlns:xlf="urn:oasis:names:tc:xliff:document:2.0" version="2.1" srcLang="en-US">
  <xlf:file id="f1" original="page.html"><xlf:unit id="u">
    <xlf:notes><xlf:note>first</xlf:note></xlf:notes>
    <xlf:originalData><xlf:data id="d1">&lt;br/></xlf:data></xlf:originalData>
    <xlf:segment id="s1" canResegment="no">
      <xlf:source>Press <xlf:pc id="1" dataRefStart="d1">Return</xlf:pc><xlf:ph id="2" dataRef="d1"/> now.</xlf:source>
    </xlf:segment>
    <xlf:ignorable><xlf:source> </xlf:source></xlf:ignorable>
    <xlf:segment id="s2" state="initial"><xlf:source>Use <xlf:mrk id="m" translate="no">tar</xlf:mrk>.</xlf:source>
      <xlf:target/></xlf:segment>
    <xlf:segment id="s3" state="reviewed"><xlf:source>Yes</xlf:source><xlf:target>Ja</xlf:target></xlf:segment>
    <xlf:segment id="s4" state="translated" subState="antiphon:machine"><xlf:source>No</xlf:source>
      <xlf:target>Nein</xlf:target></xlf:segment>
  </xlf:unit></xlf:file>
</xlf:xliff>"""


def write(folder: Path, content: str, name: str = "a.xlf") -> Path:
    path = folder / name
    path.write_bytes(content.encode())
    return path


def test_units_to_learn_from(tmp_path: Path) -> None:
    path = write(tmp_path, TOOLKIT_1, "de.xliff")
    pairs = [("Save <b>all</b> files", "Alle Dateien <b>sichern</b>"), ("One file", "Eine Datei")]
    assert learned(path) == pairs
    records = opened(path, to_learn=True)
    assert {reason: one.count for reason, one in records.skipped().items()} == {
        "header of a PO file": 1,
        "no target": 1,
        "state needs-translation": 1,
    }
    assert records.skipped()["no target"].first == (f"{path}:14",)
    assert learned(path, states=("needs-translation",)) == [("The number is large", "Die Zahl")]
    assert learned(path, languages=("en", "de")) == pairs
    assert opened(path, to_learn=True, languages=("en-GB", "de")).skipped()["other languages"].count == 5
    assert learned(write(tmp_path, TOOLKIT_2)) == [("Save all", "Alles sichern")]
    assert next(iter(opened(tmp_path / "a.xlf", to_learn=True)))["note"] == "menu"
    assert learned(write(tmp_path, TOOLKIT_2.replace("Save all", "Save\n all"))) == [("Save\n all", "Alles sichern")]
    wrapped = TOOLKIT_2.replace("Save all", "Save\n all").replace(' xml:space="preserve"', "")
    assert learned(write(tmp_path, wrapped)) == [("Save all", "Alles sichern")]


def test_what_a_state_means(tmp_path: Path) -> None:
    def unit(attributes: str, target: str) -> str:
        return f'<trans-unit id="1" {attributes}><source>a</source>{target}</trans-unit>'

    def kind(attributes: str, target: str) -> str:
        content = f'<xliff version="1.2"><file source-language="en" original="x"><body>{unit(attributes, target)}</body></file></xliff>'
        path = write(tmp_path, content)
        return f"{'learn' if learned(path) else ''}{'wait' if waiting(path) else ''}"

    assert kind("", '<target state="final">b</target>') == "learn"  # without `approved`, too
    assert kind("", "<target>b</target>") == "learn"
    assert kind('approved="yes"', '<target state="needs-review-translation">b</target>') == "learn"
    assert kind("", '<target state="needs-review-translation">b</target>') == ""
    assert kind("", '<target state="x-mine">b</target>') == ""
    assert kind("", '<target state="new">a</target>') == "wait"
    assert kind("", '<target state="translated"/>') == "wait"
    assert kind('approved="yes"', "<target/>") == ""


def test_a_file_of_the_toolkit_comes_back(tmp_path: Path) -> None:
    path = write(tmp_path, TOOLKIT_1.replace("\n", "\r\n"))
    said = answered(path, lambda text: text.upper().replace("%S", "%s")).decode()
    expected = TOOLKIT_1.replace(
        "<target></target>",
        '<target state="needs-review-translation" state-qualifier="leveraged-mt">OPEN THE FILE %s &amp; CLOSE IT</target>',
    ).replace(
        '<target state="needs-translation">Die Zahl</target>',
        '<target state="needs-review-translation" state-qualifier="leveraged-mt">THE NUMBER IS LARGE</target>',
    )
    assert said == expected.replace("\n", "\r\n")
    path = write(tmp_path, TOOLKIT_2)
    said = answered(path, lambda text: f"{text}!").decode()
    assert said == TOOLKIT_2.replace(
        '<segment xml:space="preserve"><source>Open the file %s &amp; close it</source>',
        '<segment xml:space="preserve" state="translated" subState="antiphon:machine"><source>Open the file %s &amp; close it</source>'
        "<target>Open the file %s &amp; close it!</target>",
    )


def test_segments_are_units(tmp_path: Path) -> None:
    path = write(tmp_path, SEGMENTED)
    assert [(one["id"], one["source"], one["context"]) for one in waiting(path, languages=("en", "de"))] == [
        ("1/0", "One a.", "a.html"),
        ("1/1", "Two.", "a.html"),
        ("2/1", "B.", "a.html"),
    ]
    counts = {reason: one.count for reason, one in opened(path, to_learn=False, languages=("en", "de")).skipped().items()}
    assert counts == {
        "has a target": 1,
        "not to be translated": 2,
        "binary": 1,
        "approved": 1,
        "no text in its source": 1,
        "other languages": 1,
    }
    assert learned(path) == [("A.", "AA."), ("F", "G")]
    state = 'state="needs-review-translation" state-qualifier="leveraged-mt"'
    expected = SEGMENTED.replace(
        "</g></seg-source></trans-unit>",
        f'</g></seg-source><target {state}><g id="1"><mrk mtype="seg" mid="0">ONE A.</mrk> <mrk mtype="seg"'
        '\n   mid="1">TWO.</mrk></g></target></trans-unit>',
    ).replace(
        '<target> <mrk mtype="seg" mid="0">AA.</mrk><mrk mtype="seg" mid="1"/>',
        f'<target {state}> <mrk mtype="seg" mid="0">AA.</mrk><mrk mtype="seg" mid="1">BB.</mrk>',
    )
    said = answered(path, lambda text: "BB." if text == "B." else text.upper(), languages=("en", "de")).decode()
    assert said == expected


def test_a_target_that_is_not_whole_goes_on_to_wait(tmp_path: Path) -> None:
    path = write(tmp_path, SEGMENTED)
    records = opened(path, to_learn=False)
    assert records.reader.back is not None
    rewriter = records.reader.back(records.reading)
    rewriter.put(1, Said("Eins a."))
    said = rewriter.content().decode()
    assert '<target state="needs-translation"><g id="1"><mrk mtype="seg" mid="0">Eins a.</mrk> <mrk mtype="seg"\n   mid="1"></mrk>' in said


# After the files of Trados Studio: a segment that waits, a draft, a finished and a locked one.
TRADOS = """<xliff xmlns:sdl="http://sdl.com/FileTypes/SdlXliff/1.0" xmlns="urn:oasis:names:tc:xliff:document:1.2" version="1.2">
<file original="a.docx" datatype="x-sdlfilterframework2" source-language="en-US" target-language="de-DE"><body><group><sdl:cxts/>
<trans-unit id="t"><source>One. Two. Three. Four.</source>
<seg-source><mrk mtype="seg" mid="1">One.</mrk> <mrk mtype="seg" mid="2">Two.</mrk>
<mrk mtype="seg" mid="3">Three.</mrk> <mrk mtype="seg" mid="4">Four.</mrk></seg-source><target><mrk mtype="seg" mid="1"/> <mrk mtype="seg"
mid="2">Zwei?</mrk> <mrk mtype="seg" mid="3">Drei.</mrk> <mrk mtype="seg" mid="4"/></target><sdl:seg-defs><sdl:seg id="1"/><sdl:seg id="2"
conf="Draft" origin="mt"/><sdl:seg id="3" conf="Translated"/><sdl:seg id="4" locked="true"/></sdl:seg-defs></trans-unit></group>
</body></file></xliff>
"""


def test_states_of_trados(tmp_path: Path) -> None:
    path = write(tmp_path, TRADOS, "a.docx.sdlxliff")
    assert learned(path) == [("Three.", "Drei.")]
    assert learned(path, states=("Draft",)) == [("Two.", "Zwei?")]
    records = opened(path, to_learn=False)
    assert [(one["source"], one["state"]) for one in records] == [("One.", "Unspecified")]
    assert {reason: one.count for reason, one in records.skipped().items()} == {"has a target": 2, "locked": 1}
    expected = TRADOS.replace('mid="1"/>', 'mid="1">Eins.</mrk>').replace('<sdl:seg id="1"/>', '<sdl:seg id="1" conf="Draft" origin="mt"/>')
    assert answered(path, lambda _: "Eins.").decode() == expected


def test_messages_with_choices_are_left_alone(tmp_path: Path) -> None:
    choices = "{VAR_PLURAL, plural, =1 {one file} other {<x/> files}}"
    units = (
        f'<unit id="1"><segment><source>{choices}</source></segment></unit><unit id="2"><segment><source>{{a, b}}</source></segment></unit>'
    )
    path = write(tmp_path, f'<xliff version="2.0" srcLang="en" trgLang="de"><file id="ngi18n">{units}</file></xliff>')
    assert [one["id"] for one in waiting(path)] == ["2"]
    assert opened(path, to_learn=False).skipped()["a message with choices"].count == 1


def test_what_has_no_source_is_counted(tmp_path: Path) -> None:
    path = write(tmp_path, '<xliff version="1.2"><file source-language="en"><body><trans-unit id="1"/></body></file></xliff>')
    assert opened(path, to_learn=True).skipped()["no source"].count == 1
    path = write(tmp_path, '<xliff version="2.0" srcLang="en"><file id="f"><unit id="1"><segment/></unit></file></xliff>')
    assert opened(path, to_learn=True).skipped()["no source"].count == 1


def test_version_2_with_segments(tmp_path: Path) -> None:
    path = write(tmp_path, XLIFF_2)
    with pytest.raises(DataError, match=r"does not say which language its targets have \(`trgLang`\)\. Set `languages`"):
        waiting(path)
    assert learned(path) == [("Yes", "Ja")]
    assert learned(path, states=("machine",)) == [("No", "Nein")]
    assert [(one["id"], one["note"]) for one in waiting(path, languages=("en", "de"))] == [("u/s1", "first"), ("u/s2", "first")]
    said = {"Press Return now.": Said("Jetzt Return drücken.", ((0, 2), (1, 1), (2, 0))), "Use tar.": Said("Nimm tar.")}
    expected = (
        XLIFF_2.replace('srcLang="en-US">', 'srcLang="en-US" trgLang="de">')
        .replace('canResegment="no">', 'canResegment="no" state="translated" subState="antiphon:machine">')
        .replace(
            " now.</xlf:source>",
            ' now.</xlf:source>\n      <xlf:target>Jetzt <xlf:pc id="1" dataRefStart="d1">Return</xlf:pc><xlf:ph id="2" dataRef="d1"/>'
            " drücken.</xlf:target>",
        )
        .replace('id="s2" state="initial">', 'id="s2" state="translated" subState="antiphon:machine">')
        .replace("<xlf:target/>", '<xlf:target>Nimm <xlf:mrk id="m" translate="no">tar</xlf:mrk>.</xlf:target>')
    )
    assert answered(path, said.__getitem__, languages=("en", "de")).decode() == expected
    records = opened(path, to_learn=False, languages=("en", "de"))
    assert records.reader.back is not None
    with pytest.raises(MissingError, match="lacks `tar`, which must stay as it is"):
        records.reader.back(records.reading).put(2, Said("Nimm Teer."))
    with pytest.raises(DataError, match="the translation is empty"):
        records.reader.back(records.reading).put(2, Said(" "))
    assert records.reader.back(records.reading).wants_links(1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<tmx/>", "must be XLIFF, but its outermost element is `tmx`"),
        ('<xliff version="3.0"/>', "its version is '3.0'"),
        ('<xliff version="1.2"><file><body/></file></xliff>', "has no units"),
        ('<xliff version="1.2">\n<file></xliff>', r"a\.xlf:2 must be XML, but is not: mismatched tag"),
    ],
)
def test_what_is_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(opened(write(tmp_path, content), to_learn=True))


def test_settings_and_suffixes(tmp_path: Path) -> None:
    path = write(tmp_path, TOOLKIT_1, "messages")
    assert opened(path, to_learn=True).format == "xliff"
    with pytest.raises(ConfigError, match="`delimiter` has no effect"):
        opened(path, to_learn=True, delimiter=";")


TEXT = st.text(alphabet=" ab%<&>\n\"'é漢", min_size=1, max_size=12)


@st.composite
def files(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A file of version 1.2, with what stands in it between its targets."""
    wraps = st.sampled_from(("", " ", "\n    ", "\r\n\t"))
    fillings = st.sampled_from(("", "<!-- a < b -->", "<note>n &amp; m</note>", "<?x y?>", "<alt-trans><target>t</target></alt-trans>"))
    units = []
    for number in range(draw(st.integers(1, 4))):
        source = draw(TEXT).replace("&", "&amp;").replace("<", "&lt;")
        marked = draw(st.sampled_from((source, f'x<g id="1">{source}</g>', f'{source}<x id="2"/>y', f"<![CDATA[q]]>{source}")))
        target = draw(
            st.sampled_from(("", "<target/>", '<target state="new">z</target>', "<target>done</target>", "<target  xml:lang='de' />"))
        )
        wrap = draw(wraps)
        attributes = draw(st.sampled_from((f'id="{number}"', f"id='{number}' approved = 'no'", f'translate="no" id="{number}"')))
        units.append(f"{wrap}<trans-unit {attributes}>{wrap}<source>{marked}</source>{wrap}{target}{draw(fillings)}{wrap}</trans-unit>")
    head = draw(st.sampled_from(("", "\ufeff", '<?xml version="1.0" encoding="utf-8"?>\r\n')))
    body = "".join(units)
    return f'{head}<xliff version="1.2"><file original="o" source-language="en"><body>{body}</body></file></xliff>{draw(wraps)}', units


_TARGET = re.compile(r"\s*<target[^<>]*?(?:/>|>.*?</target>)", re.DOTALL)


def _check(content: str, folder: Path) -> None:
    path = write(folder, content)
    sources = [one["source"] for one in waiting(path)]
    said = answered(path, lambda text: text)
    assert _TARGET.sub("", said.decode()) == _TARGET.sub("", content)
    path.write_bytes(said)
    assert waiting(path) == []
    written = [target for _, target in learned(path, states=("needs-review-translation",))]
    assert written == sources
    assert (said.startswith(codecs.BOM_UTF8), said[-1:]) == (content.startswith("\ufeff"), content.encode()[-1:])


@st.composite
def files_of_2(draw: st.DrawFn) -> str:
    """A file of version 2.0, of which some segments wait for a target, with what may stand around and between them."""
    wraps = st.sampled_from(("", " ", "\n    ", "\r\n\t"))
    fillings = st.sampled_from(("", "<!-- a < b -->", "<notes><note>n &amp; m</note></notes>", "<?x y?>", '<o:own xmlns:o="o"/>'))
    between = st.sampled_from(("", "<ignorable><source> </source></ignorable>", "<!-- a > b -->"))
    units = []
    for number in range(draw(st.integers(1, 3))):
        wrap, segments = draw(wraps), []
        for part in range(draw(st.integers(1, 3))):
            source = draw(TEXT).replace("&", "&amp;").replace("<", "&lt;")
            marks = (source, f'x<pc id="1">{source}</pc>', f'{source}<ph id="2"/>y', f'<mrk id="m" translate="no">q</mrk>{source}z')
            target = draw(st.sampled_from(("", "<target/>", "<target>done</target>", "<target  xml:lang='de' />")))
            state = draw(st.sampled_from(("", ' state="initial"', " state='translated'"))) if "done" in target else ""
            kind = draw(st.sampled_from(("", ' xml:space="preserve"')))
            marked = draw(st.sampled_from(marks))
            segments.append(
                f'<segment id="{part}"{state}{kind}>{wrap}<source>{marked}</source>{wrap}{target}{wrap}</segment>{draw(between)}'
            )
        attributes = draw(st.sampled_from((f'id="{number}"', f'translate="no" id="{number}"')))
        units.append(f"{wrap}<unit {attributes}>{draw(fillings)}{wrap}{''.join(segments)}{wrap}</unit>")
    head = draw(st.sampled_from(("", "\ufeff", '<?xml version="1.0" encoding="utf-8"?>\r\n')))
    return f'{head}<xliff version="2.0" srcLang="en" trgLang="de"><file id="f">{"".join(units)}</file></xliff>{draw(wraps)}'


_STATES = re.compile(r""" (?:state|subState)=(?:"[^"]*"|'[^']*')""")


def _check_2(content: str, folder: Path) -> None:
    path = write(folder, content)
    sources = [one["source"] for one in waiting(path)]
    said = answered(path, lambda text: text)
    before, behind = (_STATES.sub("", _TARGET.sub("", text)) for text in (content, said.decode()))
    assert behind == before
    path.write_bytes(said)
    assert [target for _, target in learned(path, states=("machine",))] == sources
    assert waiting(path) == []


@on_generated_files
def test_nothing_but_targets_changes(tmp_path: Path, count: int) -> None:
    over(count, lambda file: _check(file[0], tmp_path), file=files())


@on_generated_files
def test_nothing_but_targets_and_states_changes_in_version_2(tmp_path: Path, count: int) -> None:
    over(count, lambda content: _check_2(content, tmp_path), content=files_of_2())

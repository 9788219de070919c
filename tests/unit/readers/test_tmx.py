"""TMX: pairs by language, variants of regions, `lang` as OmegaT writes it, and new variants for units that wait."""

import re
from pathlib import Path

import pytest
from hypothesis import strategies as st

from antiphon.contracts.reader import Said
from antiphon.errors import DataError
from tests.generated import on_generated_files, over
from tests.unit.readers.translating import answered, learned, opened, waiting

# Written by po2tmx of translate-toolkit 3.20.4.
TOOLKIT = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4">
  <header creationtool="Translate Toolkit" creationtoolversion="3.20.4" segtype="sentence" o-tmf="UTF-8" adminlang="en" srclang="en"/>
  <body>
    <tu srclang="en">
      <prop type="x-context">menu</prop>
      <tuv xml:lang="en">
        <seg>Save &lt;b&gt;all&lt;/b&gt; files</seg>
      </tuv>
      <tuv xml:lang="de">
        <seg>Alle Dateien &lt;b&gt;sichern&lt;/b&gt;</seg>
      </tuv>
    </tu>
    <tu srclang="en">
      <tuv xml:lang="en">
        <seg>%d files</seg>
      </tuv>
      <tuv xml:lang="de">
        <seg>%d Dateien</seg>
      </tuv>
    </tu>
  </body>
</tmx>
"""

# As OmegaT writes a memory (level 1, "TMX 1.1"): `lang`, a variant with who changed it, blanks by two.
OMEGAT = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tmx SYSTEM "tmx11.dtd">
<tmx version="1.1">
  <header creationtool="OmegaT" o-tmf="OmegaT TMX" adminlang="EN-US" datatype="plaintext" creationtoolversion="6.0" segtype="sentence"
    srclang="EN-GB"/>
  <body>
<!-- Default translations -->
    <tu>
      <note>a note</note>
      <tuv lang="EN-GB">
        <seg>Colour</seg>
      </tuv>
      <tuv lang="DE-AT" changeid="ann" changedate="20240102T030405Z">
        <seg>Farbe</seg>
      </tuv>
    </tu>
    <tu>
      <tuv lang="EN-GB">
        <seg>Press <bpt i="0" x="1">&lt;b></bpt>Enter<ept i="0">&lt;/b></ept>!</seg>
      </tuv>
    </tu>
    <tu>
      <tuv lang="EN-GB">
        <seg>Grey</seg>
      </tuv>
      <tuv lang="DE-AT" changedate="20240102T030405Z">
        <seg></seg>
      </tuv>
    </tu>
  </body>
</tmx>
"""


def write(folder: Path, content: str) -> Path:
    path = folder / "a.tmx"
    path.write_bytes(content.encode())
    return path


def memory(*units: str, source: str = "en") -> str:
    return f'<tmx version="1.4"><header srclang="{source}"/><body>{"".join(f"<tu>{unit}</tu>" for unit in units)}</body></tmx>'


def variant(code: str, text: str, attributes: str = "") -> str:
    return f'<tuv xml:lang="{code}"{attributes}><seg>{text}</seg></tuv>'


def test_pairs_to_learn_from(tmp_path: Path) -> None:
    path = write(tmp_path, TOOLKIT)
    assert learned(path) == [("Save <b>all</b> files", "Alle Dateien <b>sichern</b>"), ("%d files", "%d Dateien")]
    assert learned(path, languages=("de", "en"))[1] == ("%d Dateien", "%d files")
    assert learned(path, languages=("fr", "en")) == []
    assert opened(path, to_learn=True, languages=("fr", "en")).skipped()["not in the language of the sources"].count == 2
    path = write(tmp_path, OMEGAT)
    records = opened(path, to_learn=True)
    assert [(one["source"], one["target"], one["note"], one["languages"]) for one in records] == [
        ("Colour", "Farbe", "a note", "EN-GB DE-AT")
    ]
    assert records.skipped()["no target"].count == 2
    assert learned(path, languages=("en", "de")) == [("Colour", "Farbe")]


def test_variants_of_a_language(tmp_path: Path) -> None:
    path = write(
        tmp_path, memory(variant("en-GB", "lift") + variant("en-US", "elevator") + variant("de", "Aufzug") + variant("de-AT", "Lift"))
    )
    assert learned(path, languages=("en", "de")) == [("lift", "Aufzug"), ("elevator", "Aufzug")]
    assert learned(path, languages=("en_us", "de-AT")) == [("elevator", "Lift")]
    assert learned(path, languages=("en-GB", "en")) == [("lift", "elevator")]
    assert learned(path, languages=("en", "en-GB")) == [("elevator", "lift")]


def test_languages_must_be_known(tmp_path: Path) -> None:
    many = memory(variant("en", "a") + variant("de", "b"), variant("fr", "c"))
    with pytest.raises(DataError, match=r"has variants in en, de, fr\. Set `languages` of this file to two of them"):
        learned(write(tmp_path, many))
    with pytest.raises(DataError, match=r"has variants in en, de\. Set `languages`"):
        learned(write(tmp_path, memory(variant("en", "a") + variant("de", "b"), source="*all*")))
    with pytest.raises(DataError, match=r"has no translation units"):
        learned(write(tmp_path, memory()), languages=("en", "de"))
    with pytest.raises(DataError, match=r"has variants in en\. Set `languages`"):
        waiting(write(tmp_path, memory(variant("en", "a"))))


def test_a_memory_comes_back(tmp_path: Path) -> None:
    path = write(tmp_path, OMEGAT.replace("\n", "\r\n"))
    said = {"Press Enter!": Said("Enter drücken!", ((0, 1), (1, 0))), "Grey": "Grau"}
    expected = OMEGAT.replace(
        """<ept i="0">&lt;/b></ept>!</seg>
      </tuv>""",
        """<ept i="0">&lt;/b></ept>!</seg>
      </tuv>
      <tuv lang="DE-AT" creationid="antiphon">
        <seg><bpt i="0" x="1">&lt;b></bpt>Enter<ept i="0">&lt;/b></ept> drücken!</seg>
      </tuv>""",
    ).replace(
        """<tuv lang="DE-AT" changedate="20240102T030405Z">
        <seg></seg>""",
        """<tuv lang="DE-AT" changedate="20240102T030405Z" creationid="antiphon">
        <seg>Grau</seg>""",
    )
    assert answered(path, said.__getitem__).decode() == expected.replace("\n", "\r\n")
    path = write(tmp_path, memory(variant("en", "a") + variant("en-GB", "a")))
    assert answered(path, str.upper, languages=("en", "de-AT")).decode() == memory(
        variant("en", "a") + variant("en-GB", "a") + variant("de-AT", "A", ' creationid="antiphon"')
    )


def test_what_a_machine_wrote_is_not_learned_from(tmp_path: Path) -> None:
    ours = variant("de", "b", ' creationid="antiphon"')
    changed = variant("de", "d", ' creationid="antiphon" changeid="ann"')
    path = write(tmp_path, memory(variant("en", "a") + ours, variant("en", "c") + changed))
    assert learned(path) == [("c", "d")]
    assert opened(path, to_learn=True).skipped()["state machine"].count == 1
    assert learned(path, states=("machine",)) == [("a", "b")]


TEXT = st.text(alphabet=" ab%&<>\n\"'é漢", min_size=1, max_size=12).map(lambda text: text.replace("&", "&amp;").replace("<", "&lt;"))


@st.composite
def memories(draw: st.DrawFn) -> str:
    """A file with what stands in it between the variants."""
    wraps = st.sampled_from(("", " ", "\n    ", "\r\n\t"))
    units = []
    for _ in range(draw(st.integers(1, 4))):
        wrap, text = draw(wraps), draw(TEXT)
        marked = draw(st.sampled_from((text, f'x<bpt i="1">c</bpt>{text}<ept i="1"/>', f"{text}<ph>&lt;br></ph>y", f"<hi>{text}</hi>")))
        target = draw(
            st.sampled_from(("", "", variant("de", "b"), "<tuv xml:lang='de' ><seg/></tuv>", variant("de", "", " usagecount='3'")))
        )
        other = draw(st.sampled_from(("", variant("fr", "c"))))
        filling = draw(st.sampled_from(("", "<!-- a < b -->", "<note>n &amp; m</note>", "<prop type='x'>p</prop>")))
        units.append(f"{filling}{wrap}{other}{wrap}<tuv  xml:lang='en-GB'>{wrap}<seg>{marked}</seg>{wrap}</tuv>{wrap}{target}{wrap}")
    return f"{draw(st.sampled_from(('', chr(0xFEFF))))}{memory(*units)}{draw(wraps)}"


_TARGET = re.compile(r"""\s*<tuv [^<>]*lang=["']de["'][^<>]*>.*?</tuv>""", re.DOTALL)


def _check(content: str, folder: Path) -> None:
    path = write(folder, content)
    sources = [one["source"] for one in waiting(path, languages=("en", "de"))]
    said = answered(path, lambda text: text, languages=("en", "de"))
    assert _TARGET.sub("", said.decode()) == _TARGET.sub("", content)
    path.write_bytes(said)
    assert waiting(path, languages=("en", "de")) == []
    assert [target for _, target in learned(path, languages=("en", "de"), states=("machine",))] == sources


@on_generated_files
def test_nothing_but_variants_is_added(tmp_path: Path, count: int) -> None:
    over(count, lambda content: _check(content, tmp_path), content=memories())

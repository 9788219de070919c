"""Term bases of both versions are pairs of terms, by language; terms to avoid are left out."""

from pathlib import Path

import pytest

from antiphon.errors import DataError
from tests.unit.readers.translating import learned, opened

# Written by csv2tbx of translate-toolkit 3.20.4, which calls the language of targets "xx".
TOOLKIT = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE martif PUBLIC "ISO 12200:1999A//DTD MARTIF core (DXFcdV04)//EN" "TBXcdv04.dtd">
<martif type="TBX" xml:lang="en">
    <martifHeader>
        <fileDesc>
            <sourceDesc>
                <p>Translate Toolkit</p>
            </sourceDesc>
        </fileDesc>
    </martifHeader>
    <text>
        <body>
            <termEntry id="file">
                <langSet xml:lang="en"><tig><term>file</term></tig></langSet>
                <langSet xml:lang="xx"><tig><term>Datei</term></tig></langSet>
            </termEntry>
        </body>
    </text>
</martif>
"""

VERSION_3 = """<?xml version="1.0"?>
<tbx type="TBX-Basic" style="dca" xml:lang="en" xmlns="urn:iso:std:iso:30042:ed-2"><tbxHeader><fileDesc/></tbxHeader><text><body>
 <conceptEntry id="c1"><descrip type="definition">what is stored</descrip>
  <langSec xml:lang="en-GB"><termSec><term>file</term></termSec><termSec><term>data  file</term></termSec></langSec>
  <langSec xml:lang="de">
   <termSec><term>Akte</term><termNote type="administrativeStatus">deprecatedTerm-admn-sts</termNote></termSec>
   <termSec><term>File</term><termNote type="administrativeStatus">admittedTerm-admn-sts</termNote></termSec>
   <termSec><term>Datei</term><termNote type="administrativeStatus">preferredTerm-admn-sts</termNote></termSec>
  </langSec>
 </conceptEntry>
 <conceptEntry id="c2"><langSec xml:lang="en-GB"><termSec><term>x</term></termSec></langSec></conceptEntry>
 <conceptEntry id="c3"><langSec xml:lang="fr"><termSec><term>y</term></termSec></langSec></conceptEntry>
 <conceptEntry id="c4"><langSec xml:lang="en"><ntig><termGrp><term>menu</term></termGrp></ntig></langSec>
  <langSec xml:lang="de"><termSec><term>Karte</term><administrativeStatus>supersededTerm</administrativeStatus></termSec></langSec>
 </conceptEntry>
</body></text></tbx>
"""


def write(folder: Path, content: str) -> Path:
    path = folder / "terms.tbx"
    path.write_text(content, encoding="utf-8")
    return path


def test_terms_are_pairs(tmp_path: Path) -> None:
    path = write(tmp_path, TOOLKIT)
    assert learned(path, languages=("en", "xx")) == [("file", "Datei")]
    path = write(tmp_path, VERSION_3)
    records = opened(path, to_learn=True, languages=("en", "de"))
    assert [(one["source"], one["target"], one["state"], one["note"], one["id"]) for one in records] == [
        (source, target, state, "what is stored", "c1")
        for source in ("file", "data file")
        for target, state in (("Datei", "preferred"), ("File", "admitted"))
    ]
    assert {reason: one.count for reason, one in records.skipped().items()} == {
        "a target to avoid": 1,
        "no target": 1,
        "not in the language of the sources": 1,
        "no term to use in the language of the targets": 1,
    }


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Set `languages` of this file to two of them"):
        learned(write(tmp_path, TOOLKIT))
    with pytest.raises(DataError, match="has no concepts"):
        learned(write(tmp_path, "<tbx/>"), languages=("en", "de"))

"""What we write into XLIFF and TMX, as other programs see it: the schemas of OASIS, and translate-toolkit. Where these are installed.

The schemas are in Debian's package php-symfony-translation.
"""

import re
from pathlib import Path

import pytest

from tests.unit.readers.test_tmx import OMEGAT
from tests.unit.readers.test_xliff import SEGMENTED, TOOLKIT_1, TOOLKIT_2, XLIFF_2
from tests.unit.readers.translating import answered

SCHEMAS = Path("/usr/share/php/Symfony/Component/Translation/Resources/schemas")
needs_schemas = pytest.mark.skipif(not SCHEMAS.is_dir(), reason="needs php-symfony-translation")


def say(text: str) -> str:
    return " ".join(word if "%" in word or word == "tar." else word[::-1] for word in text.split())


def said(folder: Path, content: str, name: str = "a.xlf", **settings: tuple[str, str]) -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    path.write_bytes(answered(path, say, **settings))
    return path


@needs_schemas
@pytest.mark.parametrize("version", ["1.2", "2.0"])
def test_schemas_accept_what_is_written(tmp_path: Path, version: str) -> None:
    etree = pytest.importorskip("lxml.etree")
    name = "xliff-core-1.2-strict.xsd" if version == "1.2" else "xliff-core-2.0.xsd"
    local = (SCHEMAS / "xml.xsd").as_uri()
    text = re.sub(r'schemaLocation="[^"]*xml\.xsd"', f'schemaLocation="{local}"', (SCHEMAS / name).read_text(encoding="utf-8"))
    schema = etree.XMLSchema(etree.fromstring(text.encode()))
    # a binary unit needs a skeleton that the example does not have
    plain = SEGMENTED.replace('<bin-unit id="4" mime-type="x"><bin-source/></bin-unit>', "")
    first = said(tmp_path, plain if version == "1.2" else XLIFF_2, **({} if version == "1.2" else {"languages": ("en", "de")}))
    schema.assertValid(etree.fromstring(first.read_bytes()))


def test_the_toolkit_sees_what_is_written(tmp_path: Path) -> None:
    xliff = pytest.importorskip("translate.storage.xliff")
    xliff2, tmx = pytest.importorskip("translate.storage.xliff2"), pytest.importorskip("translate.storage.tmx")
    units = xliff.xlifffile.parsefile(str(said(tmp_path, TOOLKIT_1, "a.xliff"))).units
    assert [(unit.target, unit.isfuzzy(), unit.isreview()) for unit in units if unit.getid().endswith(("3", "5"))] == [
        ("nepO eht elif %s & esolc ti", True, True),
        ("ehT rebmun si egral", True, True),
    ]
    second = xliff2.Xliff2File.parsefile(str(said(tmp_path, TOOLKIT_2))).units
    assert [unit.target for unit in second] == ["nepO eht elif %s & esolc ti", "Alles sichern"]
    with open(said(tmp_path, OMEGAT.replace(" lang=", " xml:lang="), "a.tmx"), "rb") as file:
        memory = tmx.tmxfile(file, "EN-GB", "DE-AT")
    assert [unit.target for unit in memory.units] == ["Farbe", "sserP <b>!retnE</b>", "yerG"]

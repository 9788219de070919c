"""What we write into XLIFF and TMX, as other programs see it: the schemas of OASIS, and translate-toolkit. Where these are installed."""

from pathlib import Path
from typing import Any

import pytest

from tests.generated import SOME, over
from tests.judges import judge, xliff_schema
from tests.unit.readers.test_tmx import OMEGAT
from tests.unit.readers.test_xliff import SEGMENTED, TOOLKIT_1, TOOLKIT_2, XLIFF_2, files, files_of_2
from tests.unit.readers.translating import answered


def say(text: str) -> str:
    return " ".join(word if "%" in word or word == "tar." else word[::-1] for word in text.split())


def said(folder: Path, content: str, name: str = "a.xlf", **settings: tuple[str, str]) -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    path.write_bytes(answered(path, say, **settings))
    return path


@pytest.mark.parametrize("version", ["1.2", "2.0"])
def test_schemas_accept_what_is_written(tmp_path: Path, version: str) -> None:
    schema = xliff_schema(version)
    etree = judge("lxml.etree", "lxml")
    # a binary unit needs a skeleton that the example does not have
    plain = SEGMENTED.replace('<bin-unit id="4" mime-type="x"><bin-source/></bin-unit>', "")
    first = said(tmp_path, plain if version == "1.2" else XLIFF_2, **({} if version == "1.2" else {"languages": ("en", "de")}))
    schema.assertValid(etree.fromstring(first.read_bytes()))


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.2", "2.0"])
def test_what_a_schema_accepts_it_accepts_when_it_is_answered(tmp_path: Path, version: str) -> None:
    schema = xliff_schema(version)
    etree, accepted = judge("lxml.etree", "lxml"), list[bool]()
    named = f'<xliff xmlns="urn:oasis:names:tc:xliff:document:{version}"'

    def generated(file: Any) -> None:
        content = (file if isinstance(file, str) else file[0]).lstrip("\ufeff").replace("<xliff", named)
        content = content.replace('original="o"', 'original="o" datatype="plaintext"')
        path = tmp_path / "a.xlf"
        path.write_bytes(content.encode())
        accepted.append(schema.validate(etree.fromstring(content.encode())))
        if accepted[-1]:
            schema.assertValid(etree.fromstring(answered(path, str)))

    over(10 * SOME, generated, file=files() if version == "1.2" else files_of_2())
    print(f"{sum(accepted)} of {len(accepted)} generated files are valid")
    assert sum(accepted) >= SOME


def test_the_toolkit_sees_what_is_written(tmp_path: Path) -> None:
    xliff = judge("translate.storage.xliff", "translate-toolkit")
    xliff2, tmx = judge("translate.storage.xliff2"), judge("translate.storage.tmx")
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

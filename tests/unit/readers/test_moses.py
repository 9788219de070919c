"""Corpora as OPUS hands them out: a zip with two aligned files among notes, or these two unpacked."""

import gzip
import zipfile
from pathlib import Path

import pytest

from antiphon.contracts.files import FileConfig
from antiphon.data.records import open_records
from antiphon.errors import ConfigError, DataError

BOTH = ("source", "target")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """As the files of https://opus.nlpl.eu are laid out (November 2026)."""
    with zipfile.ZipFile(tmp_path / "de-en.txt.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README", "Corpus Name: GNOME")
        archive.writestr("LICENSE", "free")
        archive.writestr("GNOME.de-en.de", "Öffnen\nSchließen\u2028x\n")
        archive.writestr("GNOME.de-en.en", "Open\nClose\n")
        archive.writestr("GNOME.de-en.xml", "<cesAlign/>")
    return tmp_path / "de-en.txt.zip"


def test_a_zip_is_read_by_languages(corpus: Path) -> None:
    file = FileConfig(path=str(corpus), languages=("en", "de"))
    records = open_records(file, required=BOTH)
    assert list(records) == [{"source": "Open", "target": "Öffnen"}, {"source": "Close", "target": "Schließen\u2028x"}]
    assert records.place(1) == f"{corpus}:2"
    assert list(open_records(file, required=("source",))) == [{"source": "Open"}, {"source": "Close"}]


def test_what_is_wrong_with_a_zip(corpus: Path) -> None:
    with pytest.raises(ConfigError, match=r"`languages` of .* must say which is the source, such as `languages: \[de, en\]`"):
        list(open_records(corpus, required=BOTH))
    with pytest.raises(DataError, match="one file for the language `fr`, but has no file; it has: de, en"):
        list(open_records(FileConfig(path=str(corpus), languages=("fr", "de")), required=BOTH))
    with zipfile.ZipFile(corpus, "w") as archive:
        archive.writestr("a.de", "eins\nzwei")
        archive.writestr("a.en", "one")
    with pytest.raises(DataError, match=r"as many lines as each other, but a\.en ends before line 2"):
        list(open_records(FileConfig(path=str(corpus), languages=("en", "de")), required=BOTH))
    corpus.write_bytes(corpus.read_bytes()[:40])
    with pytest.raises(DataError, match="is no zip, or is damaged"):
        list(open_records(FileConfig(path=str(corpus), languages=("en", "de")), required=BOTH))


def test_two_files_by_what_their_names_begin_with(tmp_path: Path) -> None:
    (tmp_path / "GNOME.de-en.en.gz").write_bytes(gzip.compress(b"Open\n"))
    (tmp_path / "GNOME.de-en.de").write_text("Öffnen\n", encoding="utf-8")
    file = FileConfig(path="GNOME.de-en", languages=("en", "de"))
    assert list(open_records(file, base=tmp_path, required=BOTH)) == [{"source": "Open", "target": "Öffnen"}]
    with pytest.raises(DataError, match="There is no file"):
        open_records(FileConfig(path="GNOME.de-en", languages=("en", "fr")), base=tmp_path, required=BOTH)

"""Tables, folders, archives and single files as records whose names can be followed from anywhere."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from antiphon.contracts.files import FileConfig
from antiphon.data.audio import open_audio
from antiphon.data.audio_records import AudioColumns, open_audio_records
from antiphon.errors import DataError
from tests.unit.data.sounds import tone, write

COLUMNS = AudioColumns("audio", "text")


def opened(path, base, *, required=("audio", "text"), columns=COLUMNS):
    return open_audio_records(FileConfig(path=str(path)), base, required, columns)


@pytest.fixture
def folder(tmp_path):
    clips = tmp_path / "clips" / "deep"
    clips.mkdir(parents=True)
    for name, said in (("b", "two\nlines"), ("a", "one")):
        write(clips / f"{name}.flac", tone(0.1))
        (clips / f"{name}.txt").write_text(said, encoding="utf-8")
    (tmp_path / "train.tsv").write_text("audio\ttext\nclips/deep/a.flac\tone\nclips/deep/b.flac\ttwo\n", encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "clips.zip", "w") as file:
        for path in sorted(clips.iterdir()):
            file.write(path, path.name)
    return tmp_path


def test_names_in_a_table_are_relative_to_it(folder):
    records = [record for _, record in opened("train.tsv", folder)()]
    assert [record["text"] for record in records] == ["one", "two"]
    assert all(Path(record["audio"]).is_absolute() and len(open_audio(record["audio"]).read(16000)) == 1600 for record in records)
    assert opened("train.tsv", folder).label(1).endswith("train.tsv:3")


def test_names_in_a_table_may_be_members_of_an_archive(folder):
    (folder / "members.tsv").write_text("audio\ttext\na.flac\tone\n", encoding="utf-8")
    records = opened("members.tsv", folder, columns=AudioColumns("audio", "text", Path("clips.zip")))
    (_, record), *_ = records()
    assert record["audio"] == str(folder / "clips.zip" / "a.flac")
    assert len(open_audio(record["audio"]).read(16000)) == 1600
    with pytest.raises(DataError, match="is a folder"):
        opened("members.tsv", folder, columns=AudioColumns("audio", "text", Path("clips")))
    with pytest.raises(DataError, match="There is no file"):
        opened("members.tsv", folder, columns=AudioColumns("audio", "text", Path("other.zip")))


@pytest.mark.parametrize("name", ["clips", "clips.zip"])
def test_a_folder_or_an_archive_has_texts_beside_its_recordings(folder, name):
    records = opened(name, folder)
    assert [(Path(record["audio"]).name, record["text"]) for _, record in records()] == [("a.flac", "one"), ("b.flac", "two lines")]
    assert records.count() == 2
    assert "b.flac" in records.place(1)


def test_a_recording_without_text_can_be_predicted_but_not_learned_from(folder):
    (folder / "clips/deep/a.txt").unlink()
    with pytest.raises(DataError, match=r"a.flac` must have its text beside it, but there is no `a.txt`"):
        list(opened("clips", folder)())
    (_, first), (_, second) = opened("clips", folder, required=("audio",))()
    assert "text" not in first
    assert second["text"] == "two lines"
    ((_, one),) = opened("clips/deep/a.flac", folder, required=("audio",))()
    assert one == {"audio": str(folder / "clips/deep/a.flac")}
    ((_, member),) = opened("clips.zip/b.flac", folder, required=("audio",))()
    assert len(open_audio(member["audio"]).read(16000)) == 1600


def test_what_is_not_there_is_said(folder):
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match="but has none"):
        opened("empty", folder)
    with pytest.raises(DataError, match="There is no file"):
        opened("nothing.wav", folder)
    (folder / "clips.tar.gz").write_bytes(b"")
    with pytest.raises(DataError, match="uncompressed"):
        opened("clips.tar.gz", folder)
    (folder / "hole.tsv").write_text("audio\ttext\n\tone\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"hole.tsv:2: `audio` must name a recording"):
        list(opened("hole.tsv", folder)())


@pytest.mark.parametrize("name", ["train.tsv", "clips", "clips.zip"])
def test_records_are_other_records_once_a_recording_was_replaced(folder, name):
    before = opened(name, folder).signature()
    assert opened(name, folder).signature() == before
    changed = folder / ("clips.zip" if name == "clips.zip" else "clips/deep/a.flac")
    os.utime(changed, ns=(1, 1))
    assert opened(name, folder).signature() != before


def shard(path, files):
    """A shard as webdataset 1.0.2 writes it: the files of a sample behind each other, called by its key."""
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_shards_have_objects_beside_their_recordings(tmp_path):
    sound = write(tmp_path / "a.flac", tone(0.1)).read_bytes()
    files = {"1.flac": sound, "1.json": b'{"text": "one", "speaker": "s"}', "d/2.x.flac": sound, "d/2.txt": b"two", "d/2.json": b"{}"}
    records = [record for _, record in opened(shard(tmp_path / "a-0.tar", files), tmp_path)()]
    assert [(record["text"], record.get("speaker")) for record in records] == [("one", "s"), ("two", None)]
    shard(tmp_path / "a-1.tar", {"1.x.flac": sound, "1.y.flac": sound, "1.x.txt": b"x", "1.txt": b"whose"})
    with pytest.raises(DataError, match=r"1\.y\.flac` must have its text beside it"):
        list(opened("a-1.tar", tmp_path)())
    for content, message in ((b"[1]", r"1\.json` must be a JSON object.*but is a list"), (b"{", r"1\.json` must be JSON")):
        with pytest.raises(DataError, match=message):
            list(opened(shard(tmp_path / "b.tar", {"1.flac": sound, "1.json": content}), tmp_path)())


def test_a_shard_of_webdataset(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    sound = write(tmp_path / "a.flac", tone(0.1)).read_bytes()
    with webdataset.TarWriter(str(tmp_path / "a.tar")) as writer:
        writer.write({"__key__": "k1", "flac": sound, "json": {"text": "one"}})
        writer.write({"__key__": "k2", "flac": sound, "txt": "two"})
    assert [record["text"] for _, record in opened("a.tar", tmp_path)()] == ["one", "two"]

"""Files in a storage elsewhere are fetched once for each version of them, sent whole or not at all, and every error is one sentence."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from antiphon.contracts.files import is_elsewhere, is_remote, restored
from antiphon.data.records import open_records
from antiphon.errors import ConfigError, DataError, MissingPackageError
from antiphon.store.remote import RemotePlace, Storage, fetched


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty storage, and an empty cache."""
    monkeypatch.setenv("ANTIPHON_CACHE", str(tmp_path / "cache"))
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    yield files
    files.store.clear()


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("s3://bucket/a.tsv", True),
        (Path("s3://bucket/a.tsv"), True),
        ("a.tsv", False),
        ("/a/s3://b", False),
        ("hf://a/b", False),
        (None, False),
    ],
)
def test_paths_elsewhere(path: Any, found: bool) -> None:
    assert is_remote(path) is found


def test_a_path_is_restored() -> None:
    assert restored(Path("s3://bucket/run")) == "s3://bucket/run"
    assert restored(Path("hf://owner/name")) == "hf://owner/name"
    assert restored(Path("note:/x")) == "note:/x"
    assert is_elsewhere(Path("hf://owner/name"))
    with pytest.raises(ConfigError, match=r"^`s4://b/a` must begin with one of s3://, .* Did you mean `s3`\?$"):
        is_remote("s4://b/a")


def test_a_file_is_fetched_again_when_it_has_changed(memory: Any) -> None:
    memory.pipe("/data/a.tsv", b"one")
    first = fetched("memory://data/a.tsv")
    assert first.read_bytes() == b"one"
    assert first.name == "a.tsv"
    written = first.stat().st_mtime_ns
    assert fetched("memory://data/a.tsv") == first
    assert first.stat().st_mtime_ns == written, "not fetched again"
    memory.pipe("/data/a.tsv", b"two")
    assert fetched("memory://data/a.tsv").read_bytes() == b"two"


def test_records_come_from_a_storage(memory: Any) -> None:
    memory.pipe("/data/b.tsv", b"source\ttarget\nthree\t3\n")
    memory.pipe("/data/a.tsv", b"source\ttarget\none\t1\ntwo\t2\n")
    memory.pipe("/data/a.en", b"one\ntwo\n")
    memory.pipe("/data/a.no", b"en\nto\n")
    found = open_records("memory://data/*.tsv", required=("source", "target"))
    assert [row["source"] for row in found] == ["one", "two", "three"]
    pairs = open_records({"source": "memory://data/a.en", "target": "memory://data/a.no"})
    assert [(row["source"], row["target"]) for row in pairs] == [("one", "en"), ("two", "to")]
    assert [row["target"] for row in open_records(Path("memory://data/a.tsv"))] == ["1", "2"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("memory://data/gone.tsv", r"^There is no `memory://data/gone\.tsv`\.$"),
        ("memory://data/*.tsv", r"^No file matches `memory://data/\*\.tsv`\."),
        ("memory://folder", r"^`memory://folder` is a folder\. Name files, for instance by a pattern such as memory://folder/\*\.tsv\.$"),
    ],
)
def test_what_is_not_there(memory: Any, path: str, sentence: str) -> None:
    memory.pipe("/folder/a.tsv", b"a")
    with pytest.raises(DataError, match=sentence):
        open_records(path)


def test_a_file_that_could_not_be_sent_is_not_there(memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "new").write_bytes(b"new content")
    memory.pipe("/out/a.txt", b"old")

    def half(self: Any, local: str, remote: str, *_: Any, **__: Any) -> None:
        self.pipe(remote, Path(local).read_bytes()[:3])
        raise OSError("the connection was\nlost.")

    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "put_file", half)
        with pytest.raises(DataError, match=r"^`memory://out/a\.txt` cannot be written: the connection was lost\.$"):
            Storage("memory://out/a.txt").send(tmp_path / "new")
    assert memory.find("/out") == ["/out/a.txt"]
    assert memory.cat("/out/a.txt") == b"old"
    Storage("memory://out/a.txt").send(tmp_path / "new")
    assert memory.cat("/out/a.txt") == b"new content"


def test_a_file_that_could_not_be_fetched_leaves_nothing(memory: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    memory.pipe("/data/a.tsv", b"content")

    def half(self: Any, remote: str, local: str, *_: Any, **__: Any) -> None:
        Path(local).write_bytes(b"con")
        raise PermissionError("Access Denied")

    monkeypatch.setattr(type(memory), "get_file", half)
    with pytest.raises(DataError, match=r"^`memory://data/a\.tsv` cannot be read: Access Denied\.$"):
        fetched("memory://data/a.tsv")
    assert [one for _, _, files in os.walk(tmp_path / "cache") for one in files] == []


def test_a_place_has_files_that_are_whole(memory: Any) -> None:
    place = RemotePlace("memory://out/")
    assert place.sizes() == {}
    assert place.sizes("job") == {}
    with place.writing("job/a.json") as file:
        file.write(b"{}")
    with pytest.raises(TypeError), place.writing("part.txt") as file:
        file.write("no bytes")  # type: ignore[arg-type]
    assert place.read("part.txt") is None
    with place.writing("part.txt") as file:
        file.write(b"whole")
    assert (place.sizes(), place.sizes("job")) == ({"part.txt": 5}, {"a.json": 2})
    assert place.read("part.txt") == b"whole"
    assert str(place) == "memory://out"


@pytest.mark.skipif(importlib.util.find_spec("s3fs") is not None, reason="s3fs is installed")
def test_the_package_that_is_missing_is_named() -> None:
    with pytest.raises(
        MissingPackageError,
        match=r"needs the package `s3fs`\. Install it, in Antiphon's folder, with: pip install '\.\[remote\]'$",
    ):
        Storage("s3://bucket/a")
    with pytest.raises(DataError, match=r"^`gs://bucket/a` needs the package `gcsfs`"):
        Storage("gs://bucket/a")

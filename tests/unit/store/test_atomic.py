"""A file is there in full, or as it was before."""

from pathlib import Path

import pytest

from antiphon.store.atomic import replacing


def write(path: Path, text: str, failure: type[BaseException] | None = None) -> None:
    with replacing(path) as file:
        file.write(text)
        if failure is not None:
            raise failure


def test_replacing_leaves_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write(path, "one")
    with pytest.raises(KeyboardInterrupt):
        write(path, "two", KeyboardInterrupt)
    assert path.read_text(encoding="utf-8") == "one"
    assert [found.name for found in tmp_path.iterdir()] == ["file.txt"]

"""The folder of `data.cache`."""

import pytest

from antiphon.data.cache import check_cache, make_cache
from antiphon.errors import ConfigError


def test_it_is_made_and_left_empty(tmp_path):
    make_cache(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    make_cache(tmp_path / "a" / "b")
    make_cache(None)


def test_looking_makes_nothing(tmp_path):
    check_cache(tmp_path / "a" / "b")
    check_cache(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("inside", ["file", "file/folder"])
def test_a_file_is_in_the_way(tmp_path, inside):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ConfigError, match=r"`data\.cache` must be a folder that can be written, but .*file.* cannot: .*\. Name another one"
    ):
        make_cache(tmp_path / inside)
    with pytest.raises(ConfigError, match=rf"but {tmp_path / inside} cannot: {tmp_path / 'file'} is a file\. Name another one"):
        check_cache(tmp_path / inside)


def test_no_permission(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(ConfigError, match="cannot: Permission denied"):
        make_cache(tmp_path)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ConfigError, match=f"cannot: {tmp_path} is not writable"):
        check_cache(tmp_path / "new")

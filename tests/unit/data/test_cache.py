"""The folder of `data.cache`."""

import pytest

from antiphon.data.cache import make_cache
from antiphon.errors import ConfigError


def test_it_is_made_and_left_empty(tmp_path):
    make_cache(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    make_cache(tmp_path / "a" / "b")
    make_cache(None)


@pytest.mark.parametrize("inside", ["file", "file/folder"])
def test_a_file_is_in_the_way(tmp_path, inside):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ConfigError, match=r"`data\.cache` must be a folder that can be written, but .*file.* cannot: .*\. Name another one"
    ):
        make_cache(tmp_path / inside)


def test_no_permission(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(ConfigError, match="cannot: Permission denied"):
        make_cache(tmp_path)

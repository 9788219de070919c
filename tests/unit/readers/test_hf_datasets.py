"""What `datasets` saves, repositories of the hub, and names on it: nothing here needs a network."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars
import pytest

from antiphon.contracts.files import FileConfig
from antiphon.data import hub
from antiphon.data.formats import folder_reader
from antiphon.data.records import open_records
from antiphon.errors import ConfigError, DataError, MissingPackageError
from antiphon.recipe.recipe import recipe_from, resolve_paths
from tests.unit.readers.whole_files import content, table_of

ROWS = [{"translation": {"en": f"text {number}", "de": f"Text {number}"}, "label": number % 3} for number in range(7)]


def saved(folder: Path, rows: list[dict[str, Any]], shards: int = 1) -> None:
    """As `Dataset.save_to_disk` of datasets 5.2.0 lays it out: streams of Arrow, their names, and what the columns are."""
    folder.mkdir(parents=True)
    names = [f"data-{shard:05d}-of-{shards:05d}.arrow" for shard in range(shards)]
    for shard, name in enumerate(names):
        size = -(-len(rows) // shards)
        polars.DataFrame(rows[shard * size : (shard + 1) * size]).write_ipc_stream(folder / name)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names], "_split": None}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": {"label": {"names": ["a", "b", "c"], "_type": "ClassLabel"}}}))


def rows(path: Any, required: tuple[str, ...] = ("translation.de",), **settings: Any) -> list[dict[str, Any]]:
    return [dict(record) for record in open_records(FileConfig(path=str(path), **settings), required=required)]


@pytest.mark.parametrize("shards", [1, 2])
def test_a_saved_data_set(tmp_path: Path, shards: int) -> None:
    saved(tmp_path / "data", ROWS, shards)
    assert rows(tmp_path / "data") == [{**row, "translation.de": row["translation"]["de"]} for row in ROWS]
    assert open_records(tmp_path / "data", required=("label",)).place(5) == f"{tmp_path / 'data'}: row 6"


def test_splits_of_a_saved_data_set(tmp_path: Path) -> None:
    saved(tmp_path / "data" / "train", ROWS)
    saved(tmp_path / "data" / "test", ROWS[:2])
    (tmp_path / "data" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert len(rows(tmp_path / "data", split="train")) == 7
    assert len(rows(tmp_path / "data", split="test")) == 2
    with pytest.raises(DataError, match=r"has the splits test, train. Set its `split`"):
        rows(tmp_path / "data")
    with pytest.raises(DataError, match=r"There is no folder `.*state.json`; a data set saved by `datasets` is a folder"):
        rows(tmp_path / "data" / "train" / "state.json", format="hf_datasets")


def repository(folder: Path) -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Texts\n")
    polars.DataFrame(ROWS).write_parquet(folder / "data" / "train-00000-of-00001.parquet")
    polars.DataFrame(ROWS[:2]).write_parquet(folder / "data" / "test-00000-of-00001.parquet")
    return folder


def test_a_repository_and_files_that_name_their_splits(tmp_path: Path) -> None:
    folder = repository(tmp_path / "repository")
    assert len(rows(folder, split="test")) == 2
    reader = folder_reader(folder / "data")
    assert reader is not None
    assert reader.name == "hf_datasets", "splits must not be read as one"
    (tmp_path / "lines").mkdir()
    (tmp_path / "lines" / "README.md").write_text("---\nconfigs:\n- config_name: de\n  data_files: a.jsonl\n---\n")
    (tmp_path / "lines" / "a.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS))
    assert len(rows(tmp_path / "lines", subset="de")) == 7


def test_series_of_a_data_set_are_read_by_columns(tmp_path: Path) -> None:
    saved(tmp_path / "data", [{"unique_id": name, "ds": step, "y": float(step)} for name in "ab" for step in (1, 2)], 2)
    assert content(table_of(tmp_path / "data")) == [(name, (), [1, 2], [[1], [2]]) for name in "ab"]


def test_what_datasets_saves(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    kinds = datasets.Features({"translation": datasets.Translation(("en", "de")), "label": datasets.ClassLabel(names=["a", "b", "c"])})
    one = datasets.Dataset.from_list(ROWS, features=kinds)
    datasets.DatasetDict({"train": one, "mine": one.filter(lambda row: row["label"] == 1)}).save_to_disk(tmp_path / "data")
    assert [{name: row[name] for name in ROWS[0]} for row in rows(tmp_path / "data", split="train")] == ROWS
    assert [row["label"] for row in rows(tmp_path / "data", split="mine")] == [1, 1]
    sound = datasets.Dataset.from_list([{"audio": {"bytes": b"RIFF", "path": "a.wav"}, "grid": [[1, 2], [3, 4]]}])
    sound.save_to_disk(tmp_path / "sound")
    assert rows(tmp_path / "sound", ("audio",)) == [{"audio": {"bytes": b"RIFF", "path": "a.wav"}, "grid": [[1, 2], [3, 4]]}]


# ------------------------------------------------------------------------------------------------------------ names on the hub


@pytest.fixture
def hub_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub with one data set, `owner/name`; what is fetched of it lies in `kept`."""
    whole, kept = repository(tmp_path / "whole"), tmp_path / "kept"
    package = pytest.importorskip("huggingface_hub")

    def info(_: Any, name: str, revision: str | None = None) -> Any:
        if name != "owner/name":
            raise package.errors.RepositoryNotFoundError("404: there is none", response=SimpleNamespace(headers={}, request=None))
        siblings = [SimpleNamespace(rfilename=path.relative_to(whole).as_posix()) for path in whole.rglob("*") if path.is_file()]
        return SimpleNamespace(siblings=siblings, sha="c0ffee")

    def snapshot(name: str, *, local_files_only: bool = False, allow_patterns: Any = (), **_: Any) -> str:
        if local_files_only and not kept.exists():
            raise package.errors.LocalEntryNotFoundError("not there")
        for one in allow_patterns:
            (kept / one).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(whole / one, kept / one)
        return str(kept)

    monkeypatch.setattr(package.HfApi, "dataset_info", info)
    monkeypatch.setattr(package, "snapshot_download", snapshot)
    monkeypatch.setattr(hub, "hub_answers", lambda: True)
    return kept


def test_only_what_is_needed_is_fetched_and_serves_without_network(hub_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "hub_answers", lambda: False)
    with pytest.raises(ConfigError, match=r"`hf://owner/name` was not fetched before, and the hub cannot be reached"):
        rows("hf://owner/name", split="test")
    monkeypatch.setattr(hub, "hub_answers", lambda: True)
    assert len(rows("hf://owner/name", split="test")) == 2
    assert sorted(path.name for path in hub_folder.rglob("*") if path.is_file()) == ["README.md", "test-00000-of-00001.parquet"]
    monkeypatch.setattr(hub, "hub_answers", lambda: False)
    assert len(rows("hf://owner/name", split="test")) == 2
    with pytest.raises(DataError, match=r"has the split test, but `split` is train"):
        rows("hf://owner/name", split="train")


def test_a_file_of_a_data_set_by_its_name(hub_folder: Path) -> None:
    name = "hf://datasets/owner/name@main/data/train-00000-of-00001.parquet"
    assert len(rows(name)) == len(list(open_records(Path(name), required=("label",)))) == 7
    with pytest.raises(ConfigError, match=r"`hf://owner/name/x.csv` is not there; `owner/name` has: README.md, data/test-00000"):
        rows("hf://owner/name/x.csv")


def test_names_that_are_none(hub_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"`hf://name` must be hf://owner/name"):
        rows("hf://name")
    with pytest.raises(ConfigError, match=r"The hub does not give `hf://owner/other`: 404: there is none"):
        rows("hf://owner/other")
    with pytest.raises(DataError, match=r"`hf://owner/name` has the splits test, train. Set its `split`"):
        rows("hf://owner/name")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingPackageError, match=r"'\.\[hf\]'"):
        rows("hf://owner/name")


def test_a_name_on_the_hub_is_not_relative_to_the_recipe() -> None:
    recipe = recipe_from(
        {
            "task": "translation",
            "data": {"train": {"path": "hf://owner/name", "split": "train"}, "validation": "dev.tsv"},
            "model": "lstm",
            "training": {"max_steps": 1},
        }
    )
    data = resolve_paths(recipe, Path("/recipes")).data
    assert isinstance(data.train, tuple)
    assert isinstance(data.validation, tuple)
    assert data.train[0].path == "hf://owner/name"
    assert Path(str(data.validation[0].path)).is_absolute()

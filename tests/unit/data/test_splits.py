"""Which files of a data set are a subset and a split: by names, and by the card of a repository."""

from collections.abc import Mapping

import pytest

from antiphon.data.splits import chosen, is_data, split_of
from antiphon.errors import DataError


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.parquet", "train"),
        ("data/train-00000-of-00002-a1b2.parquet", "train"),
        ("data/dev.jsonl.gz", "validation"),
        ("validation/0.csv", "validation"),
        ("de-en/test-00000-of-00001.parquet", "test"),
        ("data/validation_matched-00000-of-00001.parquet", "validation"),
        ("data/extra-00000-of-00001.parquet", "extra"),
        ("data/data-00000-of-00001.arrow", None),
        ("contest.csv", None),
        ("part-0.parquet", None),
    ],
)
def test_splits_by_names(name: str, split: str | None) -> None:
    assert split_of(name) == split


def test_what_holds_records() -> None:
    names = ("a.parquet", "b.json.gz", "c.CSV", "state.json", "README.md", ".cache/a.parquet", "_meta.parquet", "a.py")
    assert [name for name in names if is_data(name)] == ["a.parquet", "b.json.gz", "c.CSV"]


def choose(names: list[str], subset: str | None = None, split: str | None = None, texts: Mapping[str, str] | None = None) -> list[str]:
    return chosen([*names, *(texts or {})], (texts or {}).get, subset, split, "hf://o/n")


OPUS = [f"{pair}/{split}-00000-of-00001.parquet" for pair in ("af-en", "de-en") for split in ("train", "test")]


def test_subsets_and_splits_by_names() -> None:
    assert choose(OPUS, "de-en", "train") == ["de-en/train-00000-of-00001.parquet"]
    assert choose(["data/b.csv", "data/a.csv"]) == ["data/a.csv", "data/b.csv"]
    assert choose(["train.csv"]) == ["train.csv"]
    for subset, split, message in (
        (None, "train", r"`hf://o/n` has the subsets af-en, de-en\. Set its `subset` to one of them\."),
        ("de", "train", r"has no subset `de`; it has: af-en, de-en\. Did you mean `de-en`"),
        ("de-en", None, r"has the splits test, train\. Set its `split` to one of them\."),
        ("de-en", "trian", r"has the splits test, train, but `split` is trian\. Did you mean `train`"),
    ):
        with pytest.raises(DataError, match=message):
            choose(OPUS, subset, split)
    with pytest.raises(DataError, match="has no splits, but `split` is train"):
        choose(["a.csv"], None, "train")
    with pytest.raises(DataError, match=r"has no files of records: \.arrow, "):
        choose(["README.md"])


CARD = """\
---
license: mit
configs:
- config_name: de
  data_files:
  - split: train
    path: ["texts/*.jsonl", "more/**/x?.jsonl"]
  - split: held.out
    path: other.jsonl
- config_name: fr
  data_dir: french
{}---
# A data set
"""
FILES = ["texts/a.jsonl", "texts/in/b.jsonl", "more/1/2/x1.jsonl", "more/x2.jsonl", "other.jsonl", "french/train.csv", "french/test.csv"]


def test_the_card_of_a_data_set_decides() -> None:
    texts = {"README.md": CARD.format("")}
    assert choose(FILES, "de", "train", texts) == ["more/1/2/x1.jsonl", "more/x2.jsonl", "texts/a.jsonl"]
    assert choose(FILES, "de", "held.out", texts) == ["other.jsonl"]
    assert choose(FILES, "fr", "test", texts) == ["french/test.csv"]
    with pytest.raises(DataError, match=r"has the subsets de, fr\. Set its `subset`"):
        choose(FILES, None, "train", texts)
    with pytest.raises(DataError, match="has no subset `it`; it has: de, fr"):
        choose(FILES, "it", "train", texts)
    assert choose(FILES, None, "test", {"README.md": CARD.format("  default: true\n")}) == ["french/test.csv"]


@pytest.mark.parametrize("data_files", ["'*.csv'", "{train: a.csv}", "[a.csv]", "{split: train, path: a.csv}"])
def test_every_way_to_name_files(data_files: str) -> None:
    assert choose(["a.csv"], None, None, {"README.md": f"---\nconfigs: [{{config_name: x, data_files: {data_files}}}]\n---\n"}) == ["a.csv"]


@pytest.mark.parametrize(
    "card", ["", "# no head\n", "---\nconfigs: [\n---\n", "---\n- a\n---\n", "---\nconfigs: [{config_name: x}]\n---\n"]
)
def test_cards_that_say_nothing_of_files(card: str) -> None:
    assert choose(["train.csv", "test.csv"], None, "test", {"README.md": card}) == ["test.csv"]


def test_only_the_shards_of_a_saved_data_set_count() -> None:
    state = '{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}'
    names = ["data-00000-of-00001.arrow", "data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]
    assert choose(names, texts={"state.json": state}) == names[:1]
    folders = [f"{split}/{name}" for split in ("train", "mine") for name in names]
    assert choose(folders, None, "mine", {"train/state.json": state, "mine/state.json": state}) == [f"mine/{names[0]}"]
    with pytest.raises(DataError, match=r"`state.json` must list the files of a data set in `_data_files`"):
        choose(names, texts={"state.json": "{}"})

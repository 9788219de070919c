"""Selects the files of a data set that belong to a subset and a split, as Hugging Face's `datasets` library does.

A data set may have a card (README.md) whose head names them under `configs`; otherwise names of files and folders tell: `train.parquet`,
`data/validation-00000-of-00002.parquet`, `test/0.jsonl`, and `de-en/train-00000-of-00001.parquet` of the subset `de-en`.
(https://huggingface.co/docs/hub/datasets-data-files-configuration)
"""

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from antiphon.data.byte_streams import COMPRESSIONS
from antiphon.errors import DataError, nearest

CARD = "README.md"
_KINDS = {".parquet", ".pq", ".arrow", ".jsonl", ".ndjson", ".json", ".csv", ".tsv"}
_FACTS = {"dataset_info.json", "state.json", "dataset_dict.json", "dataset_infos.json"}
_WORDS = {"train": ("train", "training"), "validation": ("validation", "valid", "dev", "val")}
_WORDS |= {"test": ("test", "testing", "eval", "evaluation")}
_SPLITS = {word: split for split, words in _WORDS.items() for word in words}
_SHARD = re.compile(r"(.+)-\d{5}-of-\d{5}")

ReadText = Callable[[str], str | None]
"""The text of a file of the data set, by its name; None where there is none."""


def split_of(name: str) -> str | None:
    """The split in the name of a file, such as validation for `data/dev-00000-of-00001.parquet`."""
    path = PurePosixPath(name)
    stem = path.name.split(".")[0]
    shard = _SHARD.fullmatch(stem)
    for text in (stem if shard is None else shard[1], *reversed(path.parent.parts)):
        found = [_SPLITS[word] for word in re.split(r"[-._ \d]+", text.lower()) if word in _SPLITS]
        if found:
            return found[0]
        if shard is not None and text == shard[1] and text not in ("data", "dataset"):
            return text
    return None


def is_data(name: str) -> bool:
    """Whether a file of a data set holds records."""
    path = PurePosixPath(name)
    bare = path.with_suffix("") if path.suffix in COMPRESSIONS else path
    return bare.suffix.lower() in _KINDS and path.name not in _FACTS and not any(part.startswith((".", "_")) for part in path.parts)


def chosen(names: Sequence[str], read: ReadText, subset: str | None, split: str | None, place: str) -> list[str]:
    """The files of a subset and a split, sorted by name; without either all files, if there is only one split.

    Raises DataError where there are several, or none that is called so.
    """
    files = sorted(name for name in names if is_data(name))
    told = dict(_by_card(files, read(CARD), subset, place)) or _by_names(files, names, read, subset, place)
    if not told:
        raise DataError(f"`{place}` has no files of records: {', '.join(sorted(_KINDS))}.")
    splits = sorted({one for one in told.values() if one is not None})
    if split is None and len(splits) > 1:
        raise DataError(f"`{place}` has the splits {', '.join(splits)}. Set its `split` to one of them.")
    if split is not None and split not in splits:
        known = f"has the split{'s' if len(splits) > 1 else ''} {', '.join(splits)}" if splits else "has no splits"
        raise DataError(f"`{place}` {known}, but `split` is {split}.{nearest(split, splits)}")
    return [name for name in sorted(told) if split is None or told[name] == split]


def _by_names(files: Sequence[str], names: Sequence[str], read: ReadText, subset: str | None, place: str) -> dict[str, str | None]:
    """Each file with the split in its name."""
    saved = {str(PurePosixPath(name).parent) for name in names if PurePosixPath(name).name == "state.json"}
    if saved:
        return {name: None if folder == "." else folder for folder in sorted(saved) for name in _shards(folder, read) if name in files}
    folders = {name: _without_split(name) for name in files}
    subsets = sorted(set(folders.values()))
    if subset is None and len(subsets) > 1:
        raise DataError(f"`{place}` has the subsets {_listed(subsets)}. Set its `subset` to one of them.")
    if subset is not None and subset not in subsets:
        raise DataError(f"`{place}` has no subset `{subset}`; it has: {_listed(subsets)}.{nearest(subset, subsets)}")
    return {name: split_of(name) for name in files if subset is None or folders[name] == subset}


def _shards(folder: str, read: ReadText) -> Iterator[str]:
    """The files of a saved data set, which are listed in its state: older ones may be left beside them."""
    inside = "" if folder == "." else f"{folder}/"
    try:
        listed = [one["filename"] for one in json.loads(read(f"{inside}state.json") or "")["_data_files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"`{inside}state.json` must list the files of a data set in `_data_files`, but does not. Save it again.") from error
    return (f"{inside}{name}" for name in listed)


def _without_split(name: str) -> str:
    """The folder of a file, without the part that names its split."""
    parts = [part for part in PurePosixPath(name).parent.parts if part.lower() not in _SPLITS and part != "data"]
    return "/".join(parts) or "default"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 20 else f"{', '.join(names[:20])} and {len(names) - 20:,} more"


def card_of(text: str | None) -> Mapping[str, Any]:
    """The metadata at the top of a data set card; empty if there is none."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    head = re.match(r"---\r?\n(.*?)^---\s*$", text or "", re.DOTALL | re.MULTILINE)
    if head is None:
        return {}
    try:
        found = YAML(typ="safe", pure=True).load(io.StringIO(head[1]))
    except YAMLError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _by_card(files: Sequence[str], text: str | None, subset: str | None, place: str) -> Iterator[tuple[str, str | None]]:
    """Each file with its split, according to the data set's card; empty if the card does not say."""
    configs = {str(one.get("config_name", "default")): one for one in card_of(text).get("configs") or () if isinstance(one, Mapping)}
    configs = {name: one for name, one in configs.items() if "data_files" in one or "data_dir" in one}
    if not configs:
        return
    standard = next((name for name, one in configs.items() if one.get("default") or name == "default" or len(configs) == 1), None)
    name = subset or standard
    if name is None:
        raise DataError(f"`{place}` has the subsets {_listed(list(configs))}. Set its `subset` to one of them.")
    if name not in configs:
        raise DataError(f"`{place}` has no subset `{name}`; it has: {_listed(list(configs))}.{nearest(name, configs)}")
    inside = str(configs[name].get("data_dir") or "").strip("/")
    patterns = configs[name].get("data_files") or "**"
    for split, pattern in _patterns(patterns):
        whole = re.compile(_expression(f"{inside}/{pattern}" if inside else pattern))
        yield from ((file, split or split_of(file)) for file in files if whole.fullmatch(file))


def _patterns(told: Any) -> Iterator[tuple[str | None, str]]:
    """(split, pattern) from a card's entry: a pattern, a list, a mapping of splits, or a list of {split, path}."""
    if isinstance(told, str):
        yield None, told
    elif isinstance(told, Mapping) and "path" in told:
        for _, pattern in _patterns(told["path"]):
            yield (None if told.get("split") is None else str(told["split"])), pattern
    elif isinstance(told, Mapping):
        for split, paths in told.items():
            yield from ((str(split), pattern) for _, pattern in _patterns(paths))
    elif isinstance(told, Sequence):
        for one in told:
            yield from _patterns(one)


def _expression(pattern: str) -> str:
    """A file pattern as a regular expression: * for characters, ** for folders."""
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.removeprefix("./"))
    letters = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(letters.get(piece, re.escape(piece)) for piece in pieces)

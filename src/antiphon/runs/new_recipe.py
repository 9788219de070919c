"""A recipe to start from whose data are files that are there: their columns, how many records they have, and sizes that suit so many."""

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from antiphon.contracts.files import HUB, FileConfig, as_file
from antiphon.contracts.reader import settings_of
from antiphon.contracts.records import Records
from antiphon.contracts.task import TaskPlugin
from antiphon.data.records import open_parts, open_records
from antiphon.errors import ConfigError, DataError
from antiphon.store.json_text import json_text

_FEW, _MANY = 20_000, 200_000  # pairs; below, a small vocabulary and model learn more
_PIECES = 300  # the bytes of a vocabulary, what has a meaning of its own, and a few pieces that have several letters
_PLAIN = re.compile(r"(?!(?:true|false|null)$)[A-Za-z./][\w./@+-]*", re.IGNORECASE)
_LANGUAGE, _FORM = "language", "form"


def recipe_for(plugin: TaskPlugin, files: Sequence[Path | FileConfig], path: Path) -> tuple[str, str]:
    """The text of a recipe in `path` that learns from the files, and a sentence about these.

    Raises ConfigError for a task that does not turn a column into another one, DataError for files that cannot be read, or have no pair
    to learn from.
    """
    text = plugin.template.format(file=path)
    if not all(re.search(rf"^  {key}: ", text, re.MULTILINE) for key in ("source", "target", "train")):
        raise ConfigError(
            f"`--from` needs a task that turns texts into texts, such as translation, but {plugin.name} is none. Leave it out."
        )
    named = [as_file(file) for file in files]
    source, target = _columns(plugin, named)
    records = open_records(tuple(named), required=(source, target), source_column=source, target_column=target)
    languages, forms, count, letters = Counter[str](), Counter[Any](), 0, set[str]()
    for record in records:
        count += 1
        letters.update(str(record.get(source, "")), str(record.get(target, "")))
        languages[str(record.get(_LANGUAGE, ""))] += 1
        forms[record.get(_FORM)] += 1
    said = _said(records, count)
    if not count:
        raise DataError(f"There is nothing to learn from in these files: {said}")
    entries = "".join(f"\n    - {_entry(file, path.parent)}" for file in named)
    text = _with(text, "train", entries)
    text = _with(_with(text, "source", f" {source}"), "target", f" {target}{_tags(languages, forms)}")
    text = _with(text, "validation", f" {max(1, min(500, count // 10))}")
    return _sized(text, count, len(letters)), said


def _columns(plugin: TaskPlugin, files: Sequence[FileConfig]) -> tuple[str, str]:
    """What the task calls a source and a target, or the columns of a table that has two, or two fields within one."""
    usual = (str(plugin.Config().source), str(plugin.Config().target))
    for part, _ in open_parts(tuple(files), required=(), source_column=usual[0], target_column=usual[1]):
        first = next(iter(part), None)
        columns = [] if first is None else list(map(str, first))
        known = set(usual) <= set(columns)
        within = [f"{name}.{key}" for name, value in (first or {}).items() if isinstance(value, Mapping) for key in value]
        if not known and len(within) == 2:  # {"translation": {"en": ..., "de": ...}}, as data sets of Hugging Face have it
            return within[0], within[1]
        if not known and len(columns) == 2 and usual[0] not in columns:
            return columns[0], columns[1]
    return usual


def _said(records: Records, count: int) -> str:
    """How many pairs there are, and what else is in the files."""
    skipped = ", ".join(f"{one.count:,} {reason}" for reason, one in records.skipped().items())
    return f"{count:,} pairs to learn from{f'; left out: {skipped}' if skipped else ''}."


def _entry(file: FileConfig, folder: Path) -> str:
    """A file as a recipe in this folder names it."""
    names = {key: getattr(file, key) for key in ("path", "source", "target") if getattr(file, key) is not None}
    paths = {key: name if os.path.isabs(name) or name.startswith(HUB) else os.path.relpath(name, folder) for key, name in names.items()}
    others: Mapping[str, Any] = {**settings_of(file), **({"format": file.format} if file.format else {})}
    if not others and list(paths) == ["path"]:
        return _scalar(paths["path"])
    return "{" + ", ".join(f"{key}: {_scalar(value)}" for key, value in {**paths, **others}.items()) + "}"


def _scalar(value: Any) -> str:
    """A value as YAML; texts of plain letters without quotes."""
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) else json_text(value)
    return f"[{', '.join(map(_scalar, value))}]" if isinstance(value, tuple | list) else json_text(value)


def _tags(languages: Mapping[str, int], forms: Mapping[Any, int]) -> str:
    """The columns without which one source has several right targets: the language, and which of three plural forms or more it is."""
    tags, reasons = [], []
    if len(languages) > 1:
        tags.append(_LANGUAGE)
        reasons.append(f"one model says several languages: {', '.join(sorted(filter(None, languages)))}")
    if max((form for form in forms if isinstance(form, int)), default=0) > 1:
        tags.append(_FORM)
        reasons.append("the plural has several forms")
    return f"\n  tags: [{', '.join(tags)}]   # {'; '.join(reasons)}" if tags else ""


def _with(text: str, key: str, value: str) -> str:
    """The recipe with another value of a key, and without what was said of the old one."""
    return re.sub(rf"^  {key}:.*$", lambda _: f"  {key}:{value}", text, count=1, flags=re.MULTILINE)


def _sized(text: str, count: int, letters: int) -> str:
    """A recipe for so many pairs: fewer subwords, a smaller model and a shorter warm-up where they are few. Each letter and each of 256
    bytes is a piece of a vocabulary, whatever its size."""
    if count >= _FEW:
        return text if count < _MANY else text.replace("preset: small ", "preset: base ")
    size = max(min(4000, count // 5), _PIECES + letters)
    text = text.replace("size: 8000", f"size: {size}").replace("preset: small ", "preset: tiny ")
    return text.replace("warmup_steps: 1000", "warmup_steps: 200").replace("target_tokens: 4096", "target_tokens: 1000")

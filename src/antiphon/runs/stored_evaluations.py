"""Stores evaluations: in `evaluations/` of a run, a file for each data set and evaluated model.

    test.tsv.json                      the run's best checkpoint on test.tsv
    test.tsv-1f3a9c02.json             the same on another test.tsv, elsewhere
    test.tsv@step-400.json             a checkpoint that is not the best one
    test.tsv@ensemble-77b0e1d4.json    the run together with others; kept in the first of them
    test.tsv@0c3b91fe.json             the run with another setting of its task, such as the windows of a backtest

The newest evaluation of each replaces the one before.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from antiphon.errors import CheckpointError
from antiphon.store.checkpoint import find_checkpoint, read_json, replace_json


def store(evaluation: Mapping[str, Any], runs: Sequence[Path | str], source: Any, changes: Sequence[str] = ()) -> Path | None:
    """Store an evaluation, given as plain values, of a run, a checkpoint or an ensemble; returns the file, None if there is no run.

    source    what it was evaluated on, as `antiphon.evaluate` takes it
    changes   settings of the task that were others, such as "task.backtest.windows=12": such scores stand beside those of the run

    Raises CheckpointError when it cannot be written.
    """
    run, of = _place(runs, evaluation.get("run"))
    if run is None:
        return None
    if changes:
        name = f"{of['name']}, {', '.join(changes)}" if of else ", ".join(changes)
        of = {"name": name, "file": f"{of['file']}-{_short(changes)}" if of else _short(changes)}
    identity = _identity(evaluation, source)
    kept = {**evaluation, "of": of["name"] if of else None, "data_identity": identity}
    path = _free_name(run / "evaluations", Path(str(evaluation["data"]).split(",")[0]).name, of, evaluation, identity)
    try:
        path.parent.mkdir(exist_ok=True)
        replace_json(path, kept)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written: {error.strerror}. The evaluation is not kept.") from error
    return path


def data_name(source: Any) -> str:
    """The display name of the evaluated data: a path, several with commas, or `records`."""
    if isinstance(source, str | Path):
        return str(source)
    if isinstance(source, tuple):
        return ", ".join(str(file.path or file.source) for file in source)
    return "records"


def _place(runs: Sequence[Path | str], shown: str | None) -> tuple[Path | None, dict[str, str] | None]:
    """The run to store it in, and the evaluated model if it is not that run's best checkpoint: its name, and a part of a file name. `shown`
    are the runs with further options of an ensemble, such as weights."""
    first = Path(runs[0])
    run = first if _is_run(first) else next((place for place in find_checkpoint(first).resolve().parents[:2] if _is_run(place)), None)
    if run is None:
        return None, None
    if len(runs) > 1:
        members = [str(find_checkpoint(member).resolve()) for member in runs]
        plainly = " + ".join(map(str, runs))
        shown = shown or plainly
        mixed = [] if shown == plainly else [shown]
        return run, {"name": f"ensemble of {shown}", "file": f"ensemble-{_short([*members, *mixed])}"}
    folder = find_checkpoint(first).resolve()
    if folder == find_checkpoint(run).resolve():
        return run, None
    return run, {"name": f"checkpoint {folder.name}", "file": folder.name}


def _is_run(folder: Path) -> bool:
    return (folder / "recipe.yaml").is_file()


def _identity(evaluation: Mapping[str, Any], source: Any) -> str:
    """An identity of a data set: the paths of files, or the content of records."""
    if isinstance(source, str | Path):
        return _short([os.path.abspath(source)])
    if isinstance(source, tuple):
        return _short([os.path.abspath(part) for file in source for part in (file.path, file.source, file.target) if part is not None])
    return _short([[item["source"], *item["references"]] for item in evaluation["items"]])


def _short(parts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]


def _free_name(folder: Path, name: str, of: dict[str, str] | None, evaluation: Mapping[str, Any], identity: str) -> Path:
    """The file for this data set. Its name gets a number only if another data set of the same name has taken it."""
    stem = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name) or "records"
    ending = f"@{of['file']}.json" if of else ".json"
    plain, other = folder / f"{stem}{ending}", folder / f"{stem}-{identity}{ending}"
    if other.exists() or not plain.exists():
        return other if other.exists() else plain
    try:
        there = read_json(plain)
    except CheckpointError:  # damaged, so nothing is lost
        return plain
    same = there["data_identity"] == identity if "data_identity" in there else there.get("data") == evaluation["data"]
    return plain if same else other

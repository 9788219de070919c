"""The top of the page: what was trained, on which data, for how long, and the main scores."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from antiphon import __version__
from antiphon.report.curves import best_step
from antiphon.report.markup import Markup, code, element, facts, join, note, warning
from antiphon.report.quantities import as_count, as_real, duration, moment, number, plural
from antiphon.report.run_record import RunRecord
from antiphon.report.scores import score_name, score_table


def heading(record: RunRecord, parameters: int | None) -> Markup:
    """Title, facts and headline scores. `parameters` is the model's size, None when it could not be loaded."""
    task, model = record.setting("task.name"), record.setting("model.name")
    what = f"{str(task or 'unknown task').replace('_', ' ')}"
    direction = _steps_ahead(record) if record.of_series else _direction(record)
    size = f" with {parameters:,} parameters" if parameters else ""
    lead = f"{what}{direction}: {model or 'unknown'} model{size}."
    return element(
        "header",
        None,
        element("p", {"class": "kicker"}, "Antiphon run report"),
        element("h1", None, record.folder.resolve().name),
        element("p", {"class": "lead"}, lead[:1].upper() + lead[1:]),
        *(warning(problem) for problem in record.problems),
        _headline(record),
        _facts(record),
    )


def _direction(record: RunRecord) -> str:
    columns = [record.setting("task.source"), record.setting("task.target")]
    return f" ({columns[0]} to {columns[1]})" if all(columns) else ""


def _steps_ahead(record: RunRecord) -> str:
    """What is forecast, and the horizon."""
    targets, horizon = record.setting("task.target") or "y", as_count(record.setting("task.horizon"))
    named = ", ".join(map(str, targets)) if isinstance(targets, list) else str(targets)
    return f" of {named}, {plural(horizon, 'step')} ahead" if horizon else ""


def _headline(record: RunRecord) -> Markup:
    """The scores of the newest evaluation; without one, those of the best checkpoint in validation."""
    if record.evaluations:
        newest = record.evaluations[0]
        records = plural(as_count(newest.content.get("records")), "forecast" if record.of_series else "record")
        title = element("h2", {"class": "small"}, f"Scores on {short_paths(newest.data)} ({records})")
        return join([title, score_table(newest.scores, newest.baselines)])
    adds = f" adds scores with intervals, and {'forecasts to look at' if record.of_series else 'examples'}."
    command = note("No evaluation yet: ", code(f"antiphon evaluate {record.folder}"), adds)
    scores = record.header.get("scores")
    if not isinstance(scores, Mapping) or not scores:
        return command
    plain = [{"name": name, "value": value} for name, value in scores.items()]
    how = "without intervals" if record.of_series else "decoded greedily, without intervals"
    headline = f"Scores on validation data at step {record.header.get('step', '?')} ({how})"
    return join([element("h2", {"class": "small"}, headline), score_table(plain), command])


def _facts(record: RunRecord) -> Markup:
    pairs: list[tuple[object, object]] = [
        ("Task", record.setting("task.name")),
        ("Model", _model(record)),
        ("Vocabulary", _vocabulary(record)),
        *((name, _split(record, key)) for name, key in _SPLITS),
        ("Training", _training(record)),
        ("Best checkpoint", _checkpoint(record)),
        ("Antiphon", record.header.get("version", __version__)),
    ]
    return facts((name, value) for name, value in pairs if value)


_SIZES = ("cell", "dim", "encoder_layers", "decoder_layers", "heads", "attention")
_SPLITS = (("Training data", "train"), ("Validation data", "validation"), ("Test data", "test"))


def _model(record: RunRecord) -> str:
    settings = record.setting("model")
    if not isinstance(settings, Mapping):
        return str(settings)
    shown = [f"{name.replace('_', ' ')} {settings[name]}" for name in _SIZES if name in settings]
    head = record.setting("model.head.name")
    shown += [f"{head} head"] if record.of_series and head else []
    return ", ".join([str(settings.get("name", "?")), *shown])


def _vocabulary(record: RunRecord) -> str | None:
    """The number of symbols on each side; None before there is a checkpoint, and for sides without symbols."""
    sizes = {side: as_count(spec.get("size")) for side in ("source", "target") if isinstance(spec := record.header.get(side), Mapping)}
    shown = [f"{size:,} {side} symbols" for side, size in sizes.items() if size]
    return ", ".join(shown) or None


def _split(record: RunRecord, key: str) -> Markup | str | None:
    value = record.setting(f"data.{key}")
    if record.of_series and isinstance(value, int):
        return f"the last {plural(value, 'step')} of each series of the training data"
    return _files(value, required=key != "test")


def _files(value: Any, *, required: bool = False) -> Markup | str | None:
    """File names; the whole path on hover."""
    if value is None:
        return "records handed over by a program" if required else None
    if isinstance(value, int):
        return f"{plural(value, 'record')} split off the training data"
    if isinstance(value, str):
        return _file(value)
    if not isinstance(value, Sequence):
        return str(value)
    shown = []
    for file in value:
        if not isinstance(file, Mapping):
            shown.append(_file(str(file)))
            continue
        paths = [str(file[key]) for key in ("path", "source", "target") if file.get(key)]
        weight = "" if file.get("weight") in (None, 1, 1.0) else f" (weight {number(file['weight'])})"
        shown.append(join([*(_file(path) for path in paths), weight], " "))
    return join(shown, ", ")


def _file(path: str) -> Markup:
    return element("span", {"title": path}, PurePath(path).name)


def _training(record: RunRecord) -> str | None:
    events = record.of_kind("train", "validation")
    if not events:
        return None
    last = events[-1]
    passes = [epoch for event in record.of_kind("train") if (epoch := as_real(event.get("epoch"))) is not None]
    parts = [plural(as_count(last.get("step")), "step")]
    if passes:
        parts.append(f"{passes[-1]:.{2 if passes[-1] < 1 else 1}f} epochs")
    seconds, began = as_real(last.get("seconds")), as_real(events[0].get("time"))
    if seconds is not None:
        parts.append(duration(seconds))
    started = f", begun {moment(began)}" if began is not None else ""
    unfinished = "" if record.of_kind("end") else ". It has not come to its end yet"
    return ", ".join(parts) + started + unfinished


def _checkpoint(record: RunRecord) -> str | None:
    if not record.header:
        return None
    deciding = str(record.setting("training.best") or "loss")
    scores = record.header.get("scores")
    value = scores.get(deciding) if isinstance(scores, Mapping) else None
    reached = f", validation {score_name(deciding)} {number(value)}" if value is not None else ""
    averaged = f" (average of steps {', '.join(map(str, record.header['averaged']))})" if record.header.get("averaged") else ""
    return f"step {record.header.get('step', best_step(record))}{averaged}{reached}"


def short_paths(paths: str) -> str:
    """The file names in comma-separated paths."""
    return ", ".join(PurePath(path).name or path for path in paths.split(", ")) or "records"

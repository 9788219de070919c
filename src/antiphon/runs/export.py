"""Exports a trained model: from a run to a folder for another program, or for an engine; engines are compared with the run."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from rich.console import Console

from antiphon.contracts import registry
from antiphon.contracts.configuration import plain
from antiphon.contracts.engine import Precision
from antiphon.contracts.trust import Trust, foreign
from antiphon.engines.shortlist import Shortlist
from antiphon.errors import CheckpointError, ConfigError, DataError, ExportError
from antiphon.exporters import shortlists
from antiphon.exporters.engine_card import engine_card
from antiphon.exporters.interface import ExportPlugin, TrainedModel
from antiphon.prediction.predictor import Predictor
from antiphon.recipe.assembly import Trained, load_trained
from antiphon.recipe.recipe import Recipe, with_overrides
from antiphon.runs import parity
from antiphon.runs.training_examples import training_examples
from antiphon.runs.validation_records import validation_items
from antiphon.store.atomic import new_folder
from antiphon.store.checkpoint import read_json

README = "README.md"


def export(
    run: Path | str,
    *,
    format: str = "hf",  # noqa: A002
    out: Path | str | None = None,
    precision: Precision | None = None,
    check: int = 100,
    allow_loss: bool = False,
    shortlist: int | None = None,
    shortlist_data: Any = None,
    overrides: Sequence[str] = (),
    trust_code: bool = False,
    console: Console | None = None,
) -> Path:
    """Write a run's best checkpoint, or a given one, in another program's format; returns the folder.

    format      what `antiphon list exporters` lists; `hf` is a folder for transformers
    out         the folder, which must be new or empty; None is exports/FORMAT in the run
    precision   fp32, bf16 or int8; None is what the format usually has
    check       on how many validation records a model for an engine is compared with the run; 0 is not at all
    allow_loss  whether it may lose more quality than is usual for its precision
    shortlist   how many symbols of the target each symbol of a source allows to be said by its links, half as many more by what the model
                says of it alone; None is no shortlist
    shortlist_data   pairs to count links on, a file or records; None are the run's training data
    overrides   recipe settings such as "search.beam_size=1", which the folder shall have as its own
    trust_code  whether code outside Antiphon that the run names may be imported
    console     where it is said what the other program will do differently, and how the exported model compares; None is standard error

    Raises ExportError when the model cannot be exported in this format, or when what was exported says something else than the run.
    """
    plugin: ExportPlugin = registry.admit("exporters", format, trusted=True)
    precision = _precision(plugin, precision)
    folder = _free(Path(out) if out is not None else Path(run) / "exports" / format)
    trained = load_trained(run, trust=foreign(trust_code), overrides=overrides)
    if "engine" in trained.header:
        raise ExportError(
            f"{run} was exported already, for the engine `{trained.header['engine']['name']}`. Export the run that it was made of."
        )
    say = partial((console or Console(stderr=True)).print, highlight=False, markup=False, soft_wrap=True)
    chosen = with_overrides(trained.recipe, overrides) if overrides else trained.recipe
    if chosen.engine.compiled and not plugin.compiles:
        raise ExportError(f"`engine.compiled` is for `--format torch`, but `--format` is {format}. Leave it false.")
    samples = cache(partial(validation_items, run, trained, check))
    order = _Order(run, precision, allow_loss, foreign(trust_code), tuple(overrides), say)
    listed = _shortlist(plugin, run, trained, shortlist, shortlist_data, say)
    model = _to_export(run, trained, chosen, precision, samples, listed)
    with _written(folder) as partial_folder:
        lost = plugin.export(model, partial_folder)
        for sentence in lost:
            say(sentence)
        if plugin.engine:
            measured = _compared(order, partial_folder, samples)
            rows = [] if measured is None else parity.rows_of(measured)
            (partial_folder / README).write_text(engine_card(model, format, lost, rows), encoding="utf-8")
    return folder


def _to_export(
    run: Path | str, trained: Trained, recipe: Recipe, precision: Precision, samples: Callable[[], Sequence[Any]], listed: Shortlist | None
) -> TrainedModel:
    """The input of an exporter, with the recipe for the folder."""
    return TrainedModel(
        Path(run).resolve().name,
        recipe.model.name,
        trained.model,
        trained.task,
        plain(recipe),
        trained.recipe.trust,
        trained.header,
        _evaluations(Path(run)),
        precision,
        partial(_found, samples),
        listed,
    )


def _shortlist(
    plugin: ExportPlugin, run: Path | str, trained: Trained, best: int | None, data: Any, say: Callable[[str], None]
) -> Shortlist | None:
    """The requested shortlist, None if none is. Raises ExportError where shortlists are not supported."""
    if best is None:
        if data is not None:
            raise ExportError(
                "`--shortlist-data` names what a shortlist is counted on. Also give the length of the lists: `--shortlist 50`."
            )
        return None
    if best < 1:
        raise ExportError(f"`--shortlist` must be at least 1, but is {best}.")
    if not plugin.shortlists:
        formats = [name for name in registry.names("exporters") if registry.find("exporters", name).shortlists]
        raise ExportError(f"`--shortlist` is for `--format {'` and `'.join(formats)}`, but `--format` is {plugin.name}. Leave it out.")
    model, source, _ = shortlists.checked(trained.model, trained.folder.name)
    examples = training_examples(run, trained, data)
    say(f"Counting a shortlist on {len(examples):,} records, and on each of {source.size:,} symbols alone.")
    return shortlists.make(model, examples, best)


def _precision(plugin: ExportPlugin, asked: Precision | None) -> Precision:
    """The requested precision, or the default. Raises ExportError for one that the format does not support."""
    precision = asked or plugin.precisions[0]
    if precision not in plugin.precisions:
        raise ExportError(f"`--format {plugin.name}` writes {', '.join(plugin.precisions)}, but `--precision` is {precision}.")
    return precision


def _free(folder: Path) -> Path:
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ExportError(f"{folder} exists already. Choose another `--out`, or remove it.")
    return folder


@dataclass(frozen=True)
class _Order:
    """The options of `export`, as far as the comparison needs them."""

    run: Path | str
    precision: Precision
    allow_loss: bool
    trust: Trust
    overrides: tuple[str, ...]
    say: Callable[[str], None]


def _compared(order: _Order, folder: Path, samples: Callable[[], Sequence[Any]]) -> parity.Parity | None:
    """Compare the export with the run, and store the result in the folder; None if there is no data to compare on.

    Raises ExportError when it is not as good as it must be.
    """
    try:
        items, why = samples(), "no record was asked for"
    except (ConfigError, DataError) as error:
        items, why = (), str(error)
    if not items:
        order.say(f"Nothing was compared: {why.rstrip('.')}. Prove it on other data: antiphon doctor FOLDER --against RUN --data FILE.")
        return None
    before = Predictor([load_trained(order.run, trust=order.trust, overrides=order.overrides)], device="cpu", overrides=order.overrides)
    after = Predictor([load_trained(folder, trust=order.trust)], device="cpu")
    found = parity.measure(before, after, items, "the validation data", order.precision)
    for line in parity.table(found):
        order.say(line)
    parity.check(found, allow_loss=order.allow_loss)
    parity.store(found, folder)
    return found


def _found(samples: Callable[[], Sequence[Any]]) -> Sequence[Any]:
    """The samples, or none if they cannot be read; the caller says why."""
    try:
        return samples()
    except (ConfigError, DataError):
        return ()


@contextmanager
def _written(folder: Path) -> Iterator[Path]:
    """A folder to write beside the place of `folder`; it appears there only when it is complete."""
    try:
        with new_folder(folder) as partial_folder:
            yield partial_folder
    except OSError as error:
        raise ExportError(f"{folder} cannot be written: {error.strerror or error}. Make room, or choose another `--out`.") from error


def _evaluations(run: Path) -> list[dict[str, Any]]:
    """The stored evaluations of a run's best checkpoint; a damaged file is left out of a model card."""
    found = []
    for path in sorted((run / "evaluations").glob("*.json")):
        try:
            found.append(read_json(path))
        except CheckpointError:
            continue
    return [evaluation for evaluation in found if not evaluation.get("of")]

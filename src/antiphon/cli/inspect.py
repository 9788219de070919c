"""antiphon inspect: look before you train."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antiphon.cli.options import AsJson, Quiet, Set, TrustCode
from antiphon.store.json_text import json_text

if TYPE_CHECKING:
    from rich.console import Console

    from antiphon.data.audit import SplitAudit
    from antiphon.data.findings import Distribution
    from antiphon.data.series_audit import Covariate, SeriesAudit
    from antiphon.runs.inspect import Inspection

BARS = " ▁▂▃▄▅▆▇█"
SPLITS = ("train", "validation", "test")
MARKS = {
    "▁": "a space",
    "￭": "where words were parted that had no space between them",
    "⁇": "unknown to the vocabulary",
    "<unk>": "unknown to the vocabulary",
    "<s>": "the start",
    "</s>": "the end",
}
ROLES = {
    "past": "known for the past alone",
    "known": "known in advance",
    "calendar": "read off the time, known in advance",
    "static": "the same for a whole series",
}
SEEN = {"validation": "the training data have", "test": "the training or validation data have"}


def inspect(
    path: Annotated[Path, typer.Argument(metavar="RECIPE|RUN", help="A recipe, or a run's folder.", show_default=False)],
    settings: Set = None,
    as_json: AsJson = False,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
) -> None:
    """Show what training would see: counts, lengths, samples, unknown symbols, repeated and misaligned records, what is left out and
    why, overlap between the splits, the model's size, and memory and time per epoch. For series: their time spans, values and windows, and
    whether values that are scored were also trained on.

    Example: antiphon inspect german.yaml
    """
    from rich.console import Console

    from antiphon.contracts.specs import ValueSpec

    found = _inspected(path, settings or (), trust_code=trust_code, quiet=quiet)
    if as_json:
        print(json_text(found.to_plain(), indent=1))
        return
    console = Console(highlight=False, soft_wrap=True)
    units = {side: "frames" if isinstance(spec, ValueSpec) else "elements" for side, spec in found.specs.items()}
    for name in sorted(found.audit.splits, key=SPLITS.index):
        if name in found.series:
            _print_series(console, name, found.audit.splits[name], found.series[name])
        else:
            _print_split(console, name, found.audit.splits[name], units)
    _print_overlaps(console, found)
    _print_cost(console, found)


def _inspected(path: Path, settings: Sequence[str], *, trust_code: bool, quiet: bool) -> "Inspection":
    """What there is to see; on a terminal, unless it is to be quiet, one line tells meanwhile how far it is."""
    from rich.console import Console

    from antiphon.runs.inspect import inspect as run_inspection

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        return run_inspection(path, settings, trust_code=trust_code)
    with console.status("reading the recipe") as status:
        return run_inspection(path, settings, trust_code=trust_code, progress=status.update)


def _print_series(console: "Console", name: str, split: "SplitAudit", series: "SeriesAudit") -> None:
    shortest, longest = series.context
    steps = f"{longest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
    used = f"{series.series:,} of {split.tally['read']:,} series are used"
    purpose = "" if name == "train" else " to score"
    console.print(
        f"\n[bold]{name}[/]: {used}: {series.windows:,} windows{purpose}, of {steps} steps and the {series.horizon:,} that follow"
    )
    _print_tally(console, split)
    if series.steps is not None:
        _plain(console, f"  steps of a series   {_lengths(series.steps)}")
    _plain(console, f"  times               {series.times[0]} to {series.times[1]}, forecasts {series.forecast[0]} to {series.forecast[1]}")
    for values in series.values:
        spread = f"{values.lowest:,.6g} to {values.highest:,.6g}, mean {values.mean:,.6g}; {values.missing:,} missing"
        _plain(console, f"  {values.name:<19} {spread}")
    for covariate in series.covariates:
        _plain(console, f"  {covariate.name:<19} {_covariate(covariate)}")
    if series.seen:
        first = ", ".join(series.first_seen)
        _plain(
            console,
            f"  {series.seen:,} of {series.windows:,} windows forecast times that {SEEN[name]} (first in series {first}):"
            " scores on these measure memory",
        )
    for note in series.notes:
        _plain(console, f"  note: {note}")
    for sample in split.samples:
        source, target = (sample.get(f"{side}_pieces") or [] for side in ("source", "target"))
        _plain(console, f"  {sample['source']}, scaled: {_curve(source, target[1:])}  {_ends(source)} -> {_ends(target[1:])}")


def _print_tally(console: "Console", split: "SplitAudit") -> None:
    for verb in ("dropped", "truncated"):
        for reason, count in split.tally[verb].items():
            _plain(console, f"  {count:,} {verb}: {reason}{_where(split, split.tally['first'].get(reason, []))}")
    for remark in split.tally.get("weights", ()):
        _plain(console, f"  {remark}")


def _print_split(console: "Console", name: str, split: "SplitAudit", units: Mapping[str, str]) -> None:
    """One split; `units` says of each side what its lengths count."""
    tally = split.tally
    console.print(f"\n[bold]{name}[/]: {tally['kept']:,} of {_records(tally['read'], 'record is', 'records are')} used")
    _print_tally(console, split)
    for side in ("source", "target"):
        for unit, lengths in (("characters", split.characters[side]), (units[side], split.elements[side])):
            if lengths is not None:
                _plain(console, f"  {side} {unit:<10} {_lengths(lengths)}")
        unknown = split.unknown[side]
        if unknown is not None and unknown.symbols:
            symbols = (unknown.characters or unknown.words)[:8]
            which = ", ".join(f"{item!r} ({count:,})" for item, count in symbols)
            often = "most often" if symbols and symbols[0][1] > 1 else "such as"
            where = _records(unknown.records, "record", "records")
            _plain(console, f"  {side}: {unknown.share:.3%} of the symbols are unknown, in {where}; {often} {which}")
    _print_units(console, split)
    if split.changed.records:
        _print_changed(console, split)
    for groups, one, several in (
        (split.duplicates, "record repeats another record", "records repeat another record"),
        (split.conflicts, "record shares a source but not the target", "records share a source but not the target"),
    ):
        if groups.records:
            listed_pairs = [number for group in groups.listed[:3] for number in group[:2]]
            _plain(console, f"  {_records(groups.records, one, several)}{_where(split, listed_pairs)}")
    for groups, one, several in (
        (split.copies, "target is a copy of its source", "targets are copies of their source"),
        (
            split.longer,
            "target is longer than its source, which is not usual here",
            "targets are longer than their source, which is not usual here",
        ),
    ):
        if groups.records:
            _plain(console, f"  {_records(groups.records, one, several)}{_where(split, [group[0] for group in groups.listed])}")
    if split.same_target.records:
        share = split.same_target.records / max(split.examined, 1)
        what = f"{split.same_target.records:,} records ({share:.0%}) have one and the same target: a model may learn to say nothing else"
        _plain(console, f"  {what}{_where(split, split.same_target.listed[0])}")
    if split.misaligned is not None and split.misaligned.records:
        listed = [item["record"] for item in split.misaligned.listed]
        look = _records(split.misaligned.records, "record looks", "records look")
        _plain(
            console, f"  {look} misaligned by {'its length' if split.misaligned.records == 1 else 'their lengths'}{_where(split, listed)}"
        )
    seen = "".join(_pieces(sample, side) for sample in split.samples for side in ("source", "target") if sample.get(f"{side}_pieces"))
    marks = ", ".join(f"{mark} is {meaning}" for mark, meaning in MARKS.items() if mark in seen)
    if marks:
        _plain(console, f"  samples as the model sees them: {marks}")
    for sample in split.samples:
        where = split.labels.get(sample["record"], f"record {sample['record']}")
        _plain(console, f"  {where}: {_pieces(sample, 'source')}  ->  {_pieces(sample, 'target')}")


def _print_units(console: "Console", split: "SplitAudit") -> None:
    units = split.units
    if units is None:
        return
    states = ", ".join(f"{count:,} {state}" for state, count in units.states.items())
    files = "1 file" if units.files == 1 else f"{units.files:,} files"
    have = f"{units.placeholders:,} placeholders in {units.with_placeholders:,} sources"
    _plain(console, f"  units               {states}, in {files}; {have}")
    if units.unlike.records:
        listed = _where(split, [group[0] for group in units.unlike.listed])
        _plain(console, f"  {units.unlike.records:,} targets have other placeholders than their source{listed}")


def _print_changed(console: "Console", split: "SplitAudit") -> None:
    first = split.changed.listed[0]
    which = f"such as {first['restored']!r} for {first['target']!r}"
    where = _where(split, [entry["record"] for entry in split.changed.listed])
    _plain(console, f"  {split.changed.records:,} targets come back from the vocabulary as other texts, {which}{where}")


def _print_overlaps(console: "Console", found: "Inspection") -> None:
    for overlap in found.audit.overlaps:
        if overlap.pairs or overlap.sources:
            first, second = found.audit.splits[overlap.first], found.audit.splits[overlap.second]
            listed = overlap.listed_pairs or overlap.listed_sources
            where = "; ".join(f"{first.labels.get(one, one)} = {second.labels.get(two, two)}" for one, two in listed[:3])
            verb, pairs = "is" if overlap.pairs == 1 else "are", _records(overlap.pairs, "record", "records")
            said = (
                f"{pairs} ({overlap.pair_share:.1%}) of {overlap.second} {verb} also in {overlap.first};"
                f" {overlap.sources:,} ({overlap.source_share:.1%}) share the source ({where})"
            )
            _plain(console, f"\nOverlap: {said}")


def _print_cost(console: "Console", found: "Inspection") -> None:
    from antiphon.contracts.specs import ValueSpec

    cost, source, target = found.cost, found.specs["source"], found.specs["target"]
    sizes = f"vocabularies {found.vocabulary['source']:,} and {found.vocabulary['target']:,}"
    if isinstance(source, ValueSpec) and isinstance(target, ValueSpec):
        known = f", given {target.known} known in advance" if target.known else ""
        sizes = f"at each step it reads {source.width} channel{'s' * (source.width > 1)} and forecasts {target.channels}{known}"
    console.print(f"\n[bold]model[/]: {cost.total_parameters:,} parameters; {sizes}")
    for part, count in cost.parameters.items():
        console.print(f"  {part:<20} {count:>12,}")
    batches = _records(cost.batches_per_epoch, "batch", "batches")
    console.print(
        f"[bold]cost[/] on {cost.device}: {batches} an epoch, {cost.tokens_per_second:,.0f} target elements/s,"
        f" about {_time(cost.seconds_per_epoch)} an epoch, {cost.memory_bytes / 2**20:,.0f} MiB at the longest batch"
    )
    validating = f", {_time(cost.seconds_validating)} of it validating" if cost.seconds_validating >= 1 else ""
    console.print(
        f"[bold]training[/]: about {_time(cost.seconds_in_all)} for {cost.updates:,} updates, {cost.epochs:.3g} epochs{validating};"
        f" `training.{cost.ends}` ends it"
    )
    told = found.series["train"].notes if "train" in found.series else ()
    for note in found.notes:
        if note not in told:
            _plain(console, f"note: {note}")


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2g} seconds"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{round(seconds) // 60}:{round(seconds) % 60:02d} minutes"
    return f"{minutes // 60}:{minutes % 60:02d} hours" if minutes < 48 * 60 else f"{minutes / 60 / 24:.0f} days"


def _plain(console: "Console", text: str) -> None:
    console.print(text, markup=False)


def _lengths(lengths: "Distribution") -> str:
    if lengths.quantiles["min"] == lengths.quantiles["max"] and lengths.count > 1:
        return f"all {lengths.quantiles['max']:,}"
    quantiles = ", ".join(f"{label} {value:,}" for label, value in lengths.quantiles.items())
    return f"{_bars(lengths.bins)}  mean {lengths.mean:.1f}, {quantiles}"


def _curve(source: list[str], target: list[str]) -> str:
    """The first channel of a window as two strips of bars, on one scale; missing values are blank."""
    steps = [[float(piece.split(",")[0]) for piece in side] for side in (source, target)]
    there = [value for side in steps for value in side if math.isfinite(value)]
    low, high = min(there, default=0.0), max(there, default=0.0)
    size = (len(BARS) - 2) / (high - low) if high > low else 0.0
    return "|".join("".join(BARS[1 + round((value - low) * size)] if math.isfinite(value) else " " for value in side) for side in steps)


def _ends(pieces: list[str]) -> str:
    return " ".join(pieces if len(pieces) <= 6 else [*pieces[:2], "...", *pieces[-2:]])


def _where(split: "SplitAudit", numbers: Sequence[int | str]) -> str:
    """Numbers of records, or names of series."""
    from antiphon.data.places import listed

    places = [number if isinstance(number, str) else split.labels.get(number, f"record {number}") for number in numbers[:4]]
    return f" ({listed(places, len(numbers))})" if places else ""


def _records(count: int, one: str, several: str) -> str:
    """How many, and what of them: "1 record repeats", "2 records repeat"."""
    return f"{count:,} {one if count == 1 else several}"


def _covariate(covariate: "Covariate") -> str:
    """What a covariate holds, and how it is used."""
    if covariate.role == "calendar":
        held = "as sine and cosine"
    elif covariate.categories:
        first = f"{', '.join(covariate.categories[:8])}{', ...' if len(covariate.categories) > 8 else ''}"
        held = f"{_records(len(covariate.categories), 'category', 'categories')}: {first}"
    else:
        held = f"{covariate.lowest:,.6g} to {covariate.highest:,.6g}, mean {covariate.mean:,.6g}"
    return f"{held}; {ROLES[covariate.role]}"


def _bars(bins: list[tuple[int, int, int]]) -> str:
    most = max(count for _, _, count in bins)
    return "".join(BARS[-(-count * (len(BARS) - 1) // most)] for _, _, count in bins)


def _pieces(sample: dict[str, Any], side: str) -> str:
    pieces = sample.get(f"{side}_pieces") or [str(sample.get(side))]
    return " ".join(pieces)

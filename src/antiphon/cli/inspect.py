"""antiphon inspect: look before you train."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antiphon.cli.options import AsJson, Set

if TYPE_CHECKING:
    from rich.console import Console

    from antiphon.data.audit import SplitAudit
    from antiphon.inspection import Inspection

BARS = " ▁▂▃▄▅▆▇█"


def inspect(
    path: Annotated[Path, typer.Argument(metavar="RECIPE|RUN", help="A recipe, or a run's folder.", show_default=False)],
    settings: Set = None,
    as_json: AsJson = False,
) -> None:
    """Show what training would see: counts, lengths, samples, unknown symbols, repeated and misaligned records, what is left out and
    why, overlap between the splits, the model's size, and memory and time per epoch.

    Example: antiphon inspect german.yaml
    """
    from rich.console import Console

    from antiphon.inspection import inspect as run_inspection

    found = run_inspection(path, settings or ())
    if as_json:
        print(json.dumps(found.to_plain(), ensure_ascii=False, indent=1))
        return
    console = Console(highlight=False, soft_wrap=True)
    for name, split in found.audit.splits.items():
        _print_split(console, name, split)
    _print_overlaps(console, found)
    _print_cost(console, found)


def _print_split(console: "Console", name: str, split: "SplitAudit") -> None:
    tally = split.tally
    console.print(f"\n[bold]{name}[/]: {tally['kept']:,} of {tally['read']:,} records are used")
    for verb in ("dropped", "truncated"):
        for reason, count in tally[verb].items():
            _plain(console, f"  {count:,} {verb}: {reason}{_where(split, tally['first'].get(reason, []))}")
    for side in ("source", "target"):
        for unit, lengths in (("characters", split.characters[side]), ("elements", split.elements[side])):
            if lengths is not None:
                quantiles = ", ".join(f"{label} {value:,}" for label, value in lengths.quantiles.items())
                _plain(console, f"  {side} {unit:<10} {_bars(lengths.bins)}  mean {lengths.mean:.1f}, {quantiles}")
        unknown = split.unknown[side]
        if unknown is not None and unknown.symbols:
            often = ", ".join(f"{item!r} ({count:,})" for item, count in (unknown.characters or unknown.words)[:8])
            _plain(console, f"  {side}: {unknown.share:.3%} of the symbols are unknown, in {unknown.records:,} records; often: {often}")
    for groups, what in ((split.duplicates, "repeat another record"), (split.conflicts, "share a source but not the target")):
        if groups.records:
            _plain(
                console,
                f"  {groups.records:,} records {what}{_where(split, [number for group in groups.listed[:3] for number in group[:2]])}",
            )
    if split.copies.records:
        _plain(
            console,
            f"  {split.copies.records:,} targets are copies of their source{_where(split, [group[0] for group in split.copies.listed])}",
        )
    if split.misaligned is not None and split.misaligned.records:
        listed = [item["record"] for item in split.misaligned.listed]
        _plain(console, f"  {split.misaligned.records:,} records look misaligned by their lengths{_where(split, listed)}")
    for sample in split.samples:
        _plain(console, f"  record {sample['record']}: {_pieces(sample, 'source')}  ->  {_pieces(sample, 'target')}")


def _print_overlaps(console: "Console", found: "Inspection") -> None:
    for overlap in found.audit.overlaps:
        if overlap.pairs or overlap.sources:
            first, second = found.audit.splits[overlap.first], found.audit.splits[overlap.second]
            listed = overlap.listed_pairs or overlap.listed_sources
            where = "; ".join(f"{first.labels.get(one, one)} = {second.labels.get(two, two)}" for one, two in listed[:3])
            _plain(
                console,
                f"\nOverlap: {overlap.pairs:,} records ({overlap.pair_share:.1%}) of {overlap.second} are also in {overlap.first};"
                f" {overlap.sources:,} ({overlap.source_share:.1%}) share the source ({where})",
            )


def _print_cost(console: "Console", found: "Inspection") -> None:
    cost = found.cost
    sizes = f"{found.vocabulary['source']:,} and {found.vocabulary['target']:,}"
    console.print(f"\n[bold]model[/]: {cost.total_parameters:,} parameters; vocabularies {sizes}")
    for part, count in cost.parameters.items():
        console.print(f"  {part:<20} {count:>12,}")
    minutes, seconds = divmod(round(cost.seconds_per_epoch), 60)
    console.print(
        f"[bold]cost[/] on {cost.device}: {cost.batches_per_epoch:,} batches an epoch, {cost.tokens_per_second:,.0f} target elements/s,"
        f" about {minutes}:{seconds:02d} minutes an epoch, {cost.memory_bytes / 2**20:,.0f} MiB at the longest batch"
    )
    for note in found.notes:
        _plain(console, f"note: {note}")


def _plain(console: "Console", text: str) -> None:
    console.print(text, markup=False)


def _where(split: "SplitAudit", numbers: list[int]) -> str:
    places = [split.labels.get(number, f"record {number}") for number in numbers[:4]]
    return f" ({', '.join(places)}{', ...' if len(numbers) > 4 else ''})" if places else ""


def _bars(bins: list[tuple[int, int, int]]) -> str:
    most = max(count for _, _, count in bins)
    return "".join(BARS[-(-count * (len(BARS) - 1) // most)] for _, _, count in bins)


def _pieces(sample: dict[str, Any], side: str) -> str:
    pieces = sample.get(f"{side}_pieces") or [str(sample.get(side))]
    return " ".join(pieces)

"""The data section, from the audit: what was read, left out and truncated, lengths, unknown symbols, and suspicious records.

Unusual: an audit is read as the plain values of `audit.json`. Without one, the encoded corpora of the run still tell counts, lengths and
unknown symbols, in the same form.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from antiphon.data.findings import distribution
from antiphon.data.gathering import SIDES, Side
from antiphon.data.mapped import MappedCorpus
from antiphon.errors import DataError
from antiphon.report.markup import Markup, clipped, code, element, folded, join, note, paragraph, section, table, warning
from antiphon.report.plots import histogram
from antiphon.report.quantities import as_count, as_real, number, percent, plural
from antiphon.report.run_record import Plain, RunRecord

_LISTED = 10
_MOST_CHARACTERS = 300
_MARKS = (("median", "50%"), ("99%", "99%"))


def data_section(record: RunRecord) -> Markup:
    """The section on data."""
    command, units = code(f"antiphon inspect {record.folder}"), _units(record)
    if record.audit is not None:
        notes = [note(one) for one in (record.inspection or {}).get("notes") or ()]
        parts = [
            *notes,
            _overlaps(record.audit),
            *(_split(name, split, units) for name, split in _mapping(record.audit.get("splits")).items()),
        ]
        return section("data", "Data", *parts)
    splits, problems = _from_corpora(record)
    also = " also looks for duplicates, contradictions, overlap between splits and misaligned records."
    missing = note("There is no audit yet: ", command, also)
    if not splits:
        return section("data", "Data", *map(warning, problems), missing)
    return section("data", "Data", *map(warning, problems), *(_split(name, split, units) for name, split in splits.items()), missing)


def _units(record: RunRecord) -> dict[str, str]:
    """The units of a side's lengths if they are not symbols: frames of audio, which have channels."""
    return {side: "frames" for side in SIDES if "channels" in _mapping(record.header.get(side))}


def _split(name: str, split: Plain, units: Mapping[str, str]) -> Markup:
    labels = _mapping(split.get("labels"))
    parts = [
        element("h3", None, f"{_split_name(name).capitalize()} data"),
        _tally(_mapping(split.get("tally")), labels, split),
        _unknown(_mapping(split.get("unknown"))),
        *_findings(split, labels),
        _histograms(split, units),
        _samples(split, labels),
    ]
    return join(parts)


def _tally(tally: Plain, labels: Plain, split: Plain) -> Markup:
    """The counts, with every reason why records were left out or truncated."""
    read, kept = as_count(tally.get("read")), as_count(tally.get("kept"))
    looked = "" if split.get("complete", True) else f" The audit looked at the first {plural(as_count(split.get('examined')), 'record')}."
    lines = [paragraph(element("strong", None, plural(kept, "record")), f" of {read:,} read are used.{looked}")] if read else []
    if not read and "examined" in split:
        lines = [paragraph(element("strong", None, plural(as_count(split["examined"]), "record")), f".{looked}")]
    rows = []
    for verb in ("dropped", "truncated"):
        for reason, count in _mapping(tally.get(verb)).items():
            first = [_label(labels, numbers) for numbers in list(_mapping(tally.get("first")).get(reason, []))[:3]]
            share = percent(as_count(count) / max(read, 1))
            rows.append((verb, reason, f"{as_count(count):,}", share, join(first, ", ")))
    if rows:
        lines.append(table(("what", "why", "records", "share", "the first of them"), rows, numeric=(2, 3)))
    elif read:
        lines.append(note("Nothing was dropped or truncated."))
    return join(lines)


def _unknown(sides: Plain) -> Markup | None:
    found = [(side, _mapping(value)) for side, value in sides.items() if value is not None]
    if not found:
        return None
    if not any((as_real(unknown.get("share")) or 0.0) for _, unknown in found):
        return note(f"The vocabulary knows every symbol of the {' and the '.join(side for side, _ in found)}.")
    lines = []
    for side, unknown in found:
        share, records = (as_real(unknown.get("share")) or 0.0), as_count(unknown.get("records"))
        which = [f"{item!r} ({as_count(count):,})" for key in ("characters", "words") for item, count in unknown.get(key) or []][:_LISTED]
        counts = [as_count(count) for key in ("characters", "words") for _, count in unknown.get(key) or []]
        often = "most often" if max(counts, default=0) > 1 else "such as"
        examples = f"; {often} {', '.join(which)}" if which else ""
        said = f"Unknown to the vocabulary, {side}: {percent(share)} of all symbols, in {plural(records, 'record')}{examples}."
        lines.append(warning(said) if share > 0.01 else note(said))
    return join(lines)


def _findings(split: Plain, labels: Plain) -> list[Markup]:
    """Repetitions, contradictions, copies and unusual lengths, each with the records to look at."""
    kinds = (
        ("duplicates", "record repeats an earlier one", "records repeat an earlier one"),
        ("conflicts", "record shares a source but not the target", "records share a source but not the target"),
        ("copies", "record has a target equal to the source", "records have a target equal to the source"),
        ("same_target", *("records have one and the same target: a model may learn to say nothing else",) * 2),
        ("longer", *(f"{verb} a target longer than the source, which is not usual here" for verb in ("record has", "records have"))),
    )
    parts = []
    examined = max(as_count(split.get("examined")), 1)
    for key, one, several in kinds:
        groups = _mapping(split.get(key))
        count = as_count(groups.get("records"))
        if count:
            listed = [join((_label(labels, each) for each in group), " and ") for group in list(groups.get("listed") or [])[:_LISTED]]
            listing = element("ul", None, *(element("li", None, item) for item in listed))
            parts.append(folded(f"{count:,} ({percent(count / examined)}) {one if count == 1 else several}", listing))
    changed = _mapping(split.get("changed"))
    if as_count(changed.get("records")):
        rows = [(_label(labels, one["record"]), _clip(one["target"]), _clip(one["restored"])) for one in changed.get("listed") or []]
        said = f"{as_count(changed['records']):,} targets come back from the vocabulary as other texts: no output can equal them"
        parts.append(folded(said, table(("record", "target", "comes back as"), rows)))
    odd = _mapping(split.get("misaligned"))
    if as_count(odd.get("records")):
        low, high = (float(np.exp(bound)) for bound in odd["bounds"])
        rows = [(_label(labels, entry["record"]), _clip(entry["source"]), _clip(entry["target"])) for entry in odd.get("listed") or []]
        within = f"{number(low, 3)} to {number(high, 3)}"
        said = f"{as_count(odd['records']):,} records may be misaligned: target length over source length is not within {within}"
        parts.append(folded(said, table(("record", "source", "target"), rows)))
    return parts


def _histograms(split: Plain, units: Mapping[str, str]) -> Markup | None:
    """Lengths of both sides, as the model counts them (in `units`) and in characters."""
    figures = []
    for key in ("elements", "characters"):
        for side, value in _mapping(split.get(key)).items():
            unit = units.get(str(side), "symbols") if key == "elements" else key
            lengths = _mapping(value)
            if not lengths.get("bins"):
                continue
            quantiles = _mapping(lengths.get("quantiles"))
            marks = [(f"{name}: {number(quantiles[mark])}", float(quantiles[mark])) for name, mark in _MARKS if mark in quantiles]
            bins = [(low, high, count) for low, high, count in lengths["bins"]]
            mean = f"{unit} (mean {number(lengths.get('mean', ''), 3)})"
            figures.append(histogram(f"{str(side).capitalize()} length", bins, mean, marks=marks))
    return element("div", {"class": "charts"}, *figures) if figures else None


def _samples(split: Plain, labels: Plain) -> Markup | None:
    """Some records, and the model's view of them."""
    blocks = []
    for sample in split.get("samples") or []:
        rows: list[tuple[str, Markup]] = []
        for side in SIDES:
            if sample.get(side) is not None:
                rows.append((side, element("span", {"dir": "auto"}, _clip(sample[side]))))
            pieces = sample.get(f"{side}_pieces")
            if pieces:
                shown = join((element("span", {"class": "piece"}, piece) for piece in pieces[:80]), " ")
                more = f" and {len(pieces) - 80:,} more" if len(pieces) > 80 else None
                rows.append((f"{side}, as the model sees it", join([shown, more])))
        blocks.append(join([element("p", {"class": "quiet"}, _label(labels, sample.get("record"))), table(("", ""), rows)]))
    return folded(f"{plural(len(blocks), 'record')} as the model sees them", *blocks) if blocks else None


def _overlaps(audit: Plain) -> Markup:
    """Records of one split that also occur in another: scores on them measure memorization."""
    lines = []
    for overlap in audit.get("overlaps") or []:
        splits = [str(overlap.get(key, "?")) for key in ("first", "second")]
        first, second = map(_split_name, splits)
        pairs, sources = as_count(overlap.get("pairs")), as_count(overlap.get("sources"))
        if not pairs and not sources:
            lines.append(note(f"No record or source of the {second} data occurs in the {first} data."))
            continue
        labels = [_mapping(_mapping(_mapping(audit.get("splits")).get(name)).get("labels")) for name in splits]
        shares = [percent(as_real(overlap.get(key)) or 0.0) for key in ("pair_share", "source_share")]
        said = (
            f"{plural(pairs, 'record')} ({shares[0]}) of the {second} data and {plural(sources, 'source')} ({shares[1]})"
            f" also stand in the {first} data."
        )
        rows = [
            (what, _label(labels[0], one), _label(labels[1], other))
            for what, key in (("whole record", "listed_pairs"), ("source", "listed_sources"))
            for one, other in list(overlap.get(key) or [])[:_LISTED]
        ]
        listing = folded("Some of them", table(("what", f"in {first}", f"in {second}"), rows)) if rows else None
        lines.append(join([warning(said) if pairs else paragraph(said), listing]))
    return join(lines)


# ------------------------------------------------------------------------------------------------------- without an audit


def _from_corpora(record: RunRecord) -> tuple[dict[str, Plain], list[str]]:
    """Split name -> the part of an audit that the encoded corpora give; and which of them could not be read."""
    cache = record.setting("data.cache")
    folder = Path(str(cache)) if cache else record.folder / "corpus"
    splits: dict[str, dict[str, Any]] = {}
    problems = []
    for name in ("train", "validation"):
        corpora = []
        for part in sorted(folder.glob(f"{name}-*"), key=lambda path: path.name):
            try:
                corpora.append(MappedCorpus(part))
            except (DataError, OSError, KeyError, ValueError) as error:
                problems.append(f"the corpus {part} cannot be read: {error}.")
        if corpora:
            splits[name] = _corpora_view(corpora, record.header)
    return dict(splits), problems


def _corpora_view(corpora: Sequence[MappedCorpus], header: Plain) -> dict[str, Any]:
    tally: dict[str, Any] = {"read": 0, "kept": 0, "dropped": Counter(), "truncated": Counter(), "first": {}}
    for corpus in corpora:
        for key in ("read", "kept", "dropped", "truncated"):
            tally[key] = tally[key] + (Counter(corpus.tally[key]) if isinstance(tally[key], Counter) else corpus.tally[key])
    lengths, unknown = {}, {}
    for side in SIDES:
        counts: Counter[int] = Counter()
        for corpus in corpora:
            if side == "source" or corpus.has_targets:
                found = corpus.source_lengths if side == "source" else corpus.target_lengths - 1  # without the start element
                values, occurs = np.unique(found, return_counts=True)
                counts.update({int(value): int(count) for value, count in zip(values, occurs, strict=True)})
        spread = distribution(counts)
        lengths[side] = None if spread is None else asdict(spread)
        unknown[side] = _unknown_in(corpora, side, _mapping(header.get(side)).get("unknown"))
    return {"tally": tally, "elements": lengths, "unknown": unknown}


def _unknown_in(corpora: Sequence[MappedCorpus], side: Side, symbol: object) -> Plain | None:
    """The share of unknown symbols; None for values, or when no checkpoint tells which symbol is the unknown one."""
    if not isinstance(symbol, int):
        return None
    unknown = total = records = 0
    for corpus in corpora:
        if side == "source" or corpus.has_targets:
            for offsets, values in corpus.blocks(side):
                places = np.flatnonzero(values == symbol)
                unknown, total = unknown + len(places), total + len(values)
                records += len(np.unique(np.searchsorted(offsets, places, side="right")))
    return {"share": unknown / max(total, 1), "records": records} if total else None


def _split_name(name: str) -> str:
    return "training" if name == "train" else name


def _mapping(value: object) -> Plain:
    return value if isinstance(value, Mapping) else {}


def _label(labels: Plain, record: object) -> Markup:
    """The place of a record without the folder; the whole path on hover. JSON has turned numeric keys into texts."""
    place = str(labels.get(str(record), f"record {record}"))
    return element("span", {"title": place}, PurePath(place).name or place)


def _clip(value: object) -> str:
    shown, more = clipped(str(value), _MOST_CHARACTERS)
    return shown + more

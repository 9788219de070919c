"""The audit finds what was planted, in the records where it was planted, and nothing else."""

import json
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.contracts.limits import Limits
from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import Spec, TokenSpec, ValueSpec
from antiphon.data.audit import Audit, Part, View, audit
from antiphon.data.corpus import build_corpus
from antiphon.data.encoding import Encoding
from antiphon.data.findings import conflicts, distribution, pair_hashes, repetitions, robust_bounds, shared
from antiphon.data.records import SourceRecords, open_records

SPEC = TokenSpec(size=200, pad=0, unknown=1, start=2, end=3)
VIEW = View(source=lambda record: record["source"], target=lambda record: record.get("target"))


def letters(text: str) -> list[int]:
    """Codes of ASCII letters; everything else is unknown."""
    return [ord(letter) if 31 < ord(letter) < 127 else SPEC.unknown for letter in text]


def encode(record: Record, index: int = -1, *, seed: int | None = None) -> Example:
    target = record.get("target")
    encoded = None if target is None else np.array([2, *letters(target), 3])
    return Example(np.array(letters(record["source"]), dtype=np.int64), encoded, index)


def part(folder: Path, rows: list[Any], limits: Limits | None = None) -> Part:
    records = open_records(rows)
    corpus = build_corpus(records, Encoding(encode, SPEC, SPEC, limits or Limits(), ""), folder)
    return Part(records, corpus)


def chosen_part(folder: Path, data: list[Any], rest: int) -> Part:
    """Every other record, with the numbers that they have among all."""
    records = SourceRecords(lambda: ((number, record) for number, record in enumerate(data) if number % 2 == rest))
    return Part(records, build_corpus(records, Encoding(encode, SPEC, SPEC, Limits(), ""), folder))


def rows(count: int, seed: int, word: str = "w") -> list[dict[str, str]]:
    """Different records whose target is a little longer than the source."""
    generator = np.random.default_rng(seed)
    return [
        {"source": f"{word}{number} " + "x" * int(length), "target": f"{word}{number} " + "y" * (int(length) + 1)}
        for number, length in enumerate(generator.integers(5, 60, count))
    ]


def look(splits: dict[str, list[Part]], **settings: Any) -> Audit:
    return audit(splits, VIEW, SPEC, SPEC, **settings)


def test_clean_data_has_no_findings(tmp_path: Path, seed: int) -> None:
    found = look({"train": [part(tmp_path / "a", rows(200, seed))], "test": [part(tmp_path / "b", rows(50, seed, "v"))]})
    train = found.splits["train"]
    assert (train.examined, train.complete) == (200, True)
    assert train.tally["read"] == train.tally["kept"] == 200
    assert (train.duplicates.records, train.conflicts.groups, train.copies.records) == (0, 0, 0)
    assert train.misaligned is not None
    assert train.misaligned.records == 0
    unknown = train.unknown["source"]
    assert unknown is not None
    assert unknown.symbols == 0
    assert (found.overlaps[0].pairs, found.overlaps[0].sources) == (0, 0)


def test_what_is_planted_is_found(tmp_path: Path, seed: int) -> None:
    data = rows(200, seed)
    data[50] = dict(data[3])
    data[60] = dict(data[3])
    data[70] = {**data[4], "target": data[4]["target"] + "."}
    data[80] = {"source": "a copy", "target": "a copy"}
    data[90] = {"source": "x" * 10, "target": "y" * 1500}
    data[100] = {"source": "", "target": "nothing"}
    data[110] = {"source": "ein grüner Ärger grün", "target": "a green anger, green."}
    data[120] = {"source": "regain trigger", "target": "win back again"}  # so that every other letter is seen to be known
    test = rows(20, seed, "v")
    test[5] = dict(data[110])
    test[6] = {**data[7], "target": "another"}
    train = part(tmp_path / "a", data)
    found = look({"train": [train], "test": [part(tmp_path / "b", test)]})
    split = found.splits["train"]
    assert split.duplicates.records == 2
    assert split.duplicates.listed == [[3, 50, 60]]
    assert (split.conflicts.groups, split.conflicts.listed) == (1, [[4, 70]])
    assert (split.copies.records, split.copies.listed) == (1, [[80]])
    assert split.misaligned is not None
    assert [entry["record"] for entry in split.misaligned.listed] == [90]
    assert "(1500 characters)" in split.misaligned.listed[0]["target"]
    assert split.tally["dropped"] == {"empty source": 1}
    assert split.tally["first"] == {"empty source": [100]}
    unknown = split.unknown["source"]
    assert unknown is not None
    assert (unknown.symbols, unknown.records) == (3, 1)
    assert unknown.characters == [("ü", 2), ("Ä", 1)]
    assert ("grüner", 1) in unknown.words
    overlap = found.overlaps[0]
    assert (overlap.first, overlap.second) == ("train", "test")
    assert (overlap.pairs, overlap.listed_pairs) == (1, [(110, 5)])
    assert (overlap.sources, overlap.listed_sources) == (2, [(110, 5), (7, 6)])
    assert overlap.pair_share == 1 / 20
    named = {3, 50, 60, 4, 70, 80, 90, 100, 110, 7}
    assert named <= set(split.labels)
    assert split.labels[90] == "record 90"


def test_lengths_are_counted_in_characters_and_in_elements(tmp_path: Path) -> None:
    data = [{"source": "x" * n, "target": "y" * (2 * n)} for n in range(1, 101)]
    split = look({"train": [part(tmp_path / "a", data, Limits(max_source_length=90))]}).splits["train"]
    characters, elements, targets = split.characters["source"], split.elements["source"], split.elements["target"]
    assert characters is not None
    assert elements is not None
    assert targets is not None
    assert (characters.count, characters.quantiles["min"], characters.quantiles["50%"], characters.quantiles["max"]) == (100, 1, 50, 100)
    assert (elements.count, elements.quantiles["max"]) == (90, 90), "only what was kept is encoded"
    assert targets.quantiles["max"] == 181, "the end symbol counts, the start does not"
    assert sum(count for _, _, count in characters.bins) == 100


def test_targets_that_do_not_come_back_are_counted(tmp_path: Path) -> None:
    data = [{"source": "x", "target": text} for text in ("a b", "a  b", "10 m²", "e\u0301te\u0301")]
    parts = [part(tmp_path / "a", data), part(tmp_path / "b", [{"source": "x"}])]

    def restored(record: Record) -> str:
        return unicodedata.normalize("NFC", " ".join(record["target"].split())).replace("²", "2")

    split = audit({"train": parts}, View(VIEW.source, VIEW.target, restored=restored), SPEC, SPEC).splits["train"]
    assert split.changed.records == 3
    assert split.changed.listed == [
        {"record": 1, "target": "a  b", "restored": "a b"},
        {"record": 2, "target": "10 m²", "restored": "10 m2"},
        {"record": 3, "target": r"e\u0301te\u0301", "restored": r"\xe9t\xe9"},
    ]
    assert split.labels[2] == "record 2"
    assert look({"train": parts}).splits["train"].changed.records == 0


def test_samples_show_what_the_model_sees(tmp_path: Path) -> None:
    shown = View(VIEW.source, VIEW.target, pieces=lambda side, array: [f"{side}:{symbol}" for symbol in array])
    one = part(tmp_path / "a", [{"source": "ab", "target": "c"}, {"source": "d", "target": "e"}])
    split = audit({"train": [one]}, shown, SPEC, SPEC, samples=1).splits["train"]
    assert split.samples == [
        {
            "record": 0,
            "source": "ab",
            "source_pieces": ["source:97", "source:98"],
            "target": "c",
            "target_pieces": ["target:2", "target:99", "target:3"],
        }
    ]


def test_parts_are_numbered_through_and_labelled_by_file(tmp_path: Path) -> None:
    parts = []
    for name in ("a", "b"):
        (tmp_path / f"{name}.tsv").write_text("source\ttarget\nx1\ty1\nx2\ty2\n")
        records = open_records(tmp_path / f"{name}.tsv")
        corpus = build_corpus(records, Encoding(encode, SPEC, SPEC, Limits(max_source_length=9), ""), tmp_path / name)
        parts.append(Part(records, corpus))
    split = look({"train": parts}).splits["train"]
    assert split.duplicates.listed == [[0, 2], [1, 3]]
    assert split.labels[3] == f"{tmp_path / 'b.tsv'}:3"
    assert split.tally["read"] == 4


def test_records_keep_their_numbers_where_some_are_left_out(tmp_path: Path) -> None:
    data = rows(30, 0)
    data[9] = {"source": "", "target": "empty"}
    data[21], data[25], data[27] = dict(data[5]), {**data[5], "target": data[5]["target"] + "."}, {"source": "same", "target": "same"}
    parts = [chosen_part(tmp_path / str(rest), data, rest) for rest in (0, 1)]
    found = look({"test": [parts[0]], "train": [parts[1]]})
    split = found.splits["train"]
    assert split.examined == 15
    assert split.duplicates.listed == [[5, 21]]
    assert split.conflicts.listed == [[5, 25]]
    assert split.copies.listed == [[27]]
    assert split.tally["first"] == {"empty source": [9]}
    assert set(split.labels) >= {5, 21, 25, 27, 9}


def test_memory_is_bounded_and_the_audit_says_so(tmp_path: Path) -> None:
    split = look({"train": [part(tmp_path / "a", rows(100, 0))]}, max_records=30).splits["train"]
    assert (split.examined, split.complete) == (30, False)


def test_values_and_records_without_targets(tmp_path: Path) -> None:
    data = [{"source": [float(n), 1.0]} for n in range(30)]
    specs: dict[str, Spec] = {"source": ValueSpec(1), "target": ValueSpec(1)}

    def numbers(record: Record, index: int = -1, *, seed: int | None = None) -> Example:
        return Example(np.array(record["source"], dtype=np.float32)[:, None], None, index)

    records = open_records(data)
    corpus = build_corpus(records, Encoding(numbers, limits=Limits(), fingerprint="", **specs), tmp_path / "c")
    split = audit({"new": [Part(records, corpus)]}, VIEW, **specs).splits["new"]
    assert split.unknown == {"source": None, "target": None}
    assert split.duplicates.records == 0
    assert split.conflicts.groups == 0
    assert split.elements["target"] is None
    records_only = audit({"new": [Part(records)]}, VIEW, **specs).splits["new"]
    assert records_only.examined == 30


def test_it_becomes_json(tmp_path: Path) -> None:
    plain = look({"train": [part(tmp_path / "a", rows(30, 0))]}).to_plain()
    assert json.loads(json.dumps(plain))["splits"]["train"]["examined"] == 30


def test_findings_on_arrays(seed: int) -> None:
    generator = np.random.default_rng(seed)
    sources, targets = generator.integers(0, 50, 400).astype(np.uint64), generator.integers(0, 3, 400).astype(np.uint64)
    pairs = pair_hashes(sources, targets)
    tuples = list(zip(sources.tolist(), targets.tolist(), strict=True))
    assert repetitions(pairs).records == 400 - len(set(tuples))
    ambiguous = {source for source in set(sources.tolist()) if len({target for own, target in tuples if own == source}) > 1}
    found = conflicts(sources, pairs)
    assert found.groups == len(ambiguous)
    assert found.records == sum(source in ambiguous for source in sources.tolist())
    count, listed = shared(sources[:20], sources[20:])
    assert count == sum(source in set(sources[:20].tolist()) for source in sources[20:].tolist())
    assert all(sources[first] == sources[20 + second] for first, second in listed)


@pytest.mark.parametrize("function", [repetitions, lambda hashes: conflicts(hashes, hashes)])
def test_nothing_has_no_findings(function: Any) -> None:
    assert function(np.zeros(0, dtype=np.uint64)).records == 0
    assert shared(np.zeros(0, dtype=np.uint64), np.ones(3, dtype=np.uint64)) == (0, [])


def test_distributions_agree_with_numpy(seed: int) -> None:
    values = np.random.default_rng(seed).lognormal(3, 1, 5000).astype(int)
    counts = {int(value): int(count) for value, count in zip(*np.unique(values, return_counts=True), strict=True)}
    found = distribution(Counter(counts))
    assert found is not None
    for name, share in (("5%", 0.05), ("50%", 0.5), ("99%", 0.99)):
        assert found.quantiles[name] == np.quantile(values, share, method="lower")
    assert found.mean == pytest.approx(values.mean())
    assert sum(count for _, _, count in found.bins) == 5000
    assert all(high + 1 == low for (_, high, _), (low, _, _) in zip(found.bins, found.bins[1:], strict=False))
    assert distribution(Counter()) is None


def test_bounds_ignore_outliers() -> None:
    ratios = np.concatenate([np.random.default_rng(0).normal(0.3, 0.2, 1000), np.full(50, 5.0)])
    bounds = robust_bounds(ratios)
    assert bounds is not None
    assert bounds == pytest.approx((0.3 - 0.8, 0.3 + 0.8), abs=0.15)
    assert robust_bounds(ratios[:19]) is None


def test_one_target_for_many_and_targets_longer_than_their_sources(tmp_path: Path) -> None:
    rows = [{"source": "a long source text " * 3 + str(number), "target": "same" if number < 6 else f"t{number}"} for number in range(12)]
    rows[7] = {"source": "short", "target": "a target that is longer"}
    found = audit({"train": [part(tmp_path / "c", rows)]}, VIEW, SPEC, SPEC).splits["train"]
    assert (found.same_target.records, found.same_target.listed) == (6, [[0, 1, 2, 3, 4]])
    assert (found.longer.records, found.longer.listed) == (1, [[7]])


def test_longer_targets_are_no_finding_where_they_are_usual(tmp_path: Path) -> None:
    rows = [{"source": f"word {number}", "target": f"a longer target {number}"} for number in range(12)]
    found = audit({"train": [part(tmp_path / "c", rows)]}, VIEW, SPEC, SPEC).splits["train"]
    assert found.longer.records == 0
    assert found.same_target.records == 0

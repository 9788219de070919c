"""The data section: what an audit found is said, and without one the encoded corpora still tell the counts."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.contracts.limits import Limits
from antiphon.contracts.records import Record, Records
from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import TokenSpec
from antiphon.data.audit import Part, View, audit
from antiphon.data.corpus import build_corpus
from antiphon.data.encoding import Encoding
from antiphon.data.mapped import MappedCorpus
from antiphon.data.records import open_records
from antiphon.report.data_view import data_section
from antiphon.report.run_record import RunRecord, read_run
from tests.unit.report.runs import make_run

SPEC = TokenSpec(9, 0, 1, 2, 3)
TRAIN = [("a b", "b a"), ("a b", "b a"), ("a b", "x"), ("c", "c"), ("<q>", "a"), ("a a a a a a", "b"), ("", "b")]
VALIDATION = [("a b", "b a"), ("c", "d"), ("b", "b b")]


def encode(record: Record, index: int = -1, *, seed: int | None = None) -> Example:
    """a, b, c and d have symbols of their own; every other word is unknown."""
    known = {"a": 4, "b": 5, "c": 6, "d": 7}
    sides = [[known.get(word, SPEC.unknown) for word in str(record[side]).split()] for side in ("source", "target")]
    return Example(np.array([*sides[0], SPEC.end]), np.array([SPEC.start, *sides[1], SPEC.end]), index)


def records_of(pairs: Sequence[tuple[str, str]]) -> Records:
    return open_records([{"source": source, "target": target} for source, target in pairs], required=("source", "target"))


def corpus_of(records: Records, folder: Path) -> MappedCorpus:
    limits = Limits(max_source_length=5)
    return build_corpus(records, Encoding(encode, SPEC, SPEC, limits, "x"), folder)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with encoded data, and a checkpoint's header that tells which symbol is the unknown one."""
    run = make_run(tmp_path / "run")
    (run / "corpus").mkdir()
    for name, pairs in (("train", TRAIN), ("validation", VALIDATION)):
        corpus_of(records_of(pairs), run / "corpus" / f"{name}-0")
    (run / "best").mkdir()
    header = {"format": 1, "step": 50, "source": {"unknown": SPEC.unknown}, "target": {"unknown": SPEC.unknown}}
    (run / "best" / "checkpoint.json").write_text(json.dumps(header), encoding="utf-8")
    return run


def audit_of(run: Path) -> dict[str, Any]:
    """What `antiphon inspect` stores: the audit as JSON, which makes texts of numbers that are keys."""
    splits = {"train": TRAIN, "validation": VALIDATION}
    parts = {name: [Part(records_of(pairs), MappedCorpus(run / "corpus" / f"{name}-0"))] for name, pairs in splits.items()}
    view = View(lambda record: record["source"], lambda record: record["target"])
    plain: dict[str, Any] = json.loads(json.dumps({"audit": audit(parts, view, SPEC, SPEC).to_plain(), "notes": ["a <note>"]}))
    return plain


def said(record: RunRecord) -> str:
    return str(data_section(record))


def test_counts_and_reasons_without_an_audit(run: Path) -> None:
    shown = said(read_run(run))
    assert "<strong>5 records</strong> of 7 read are used." in shown
    assert '>dropped</td><td>source too long</td><td class="number">1</td><td class="number">14.3%</td>' in shown
    assert ">dropped</td><td>empty source</td>" in shown
    assert "Unknown to the vocabulary, source: 7.7% of all symbols, in 1 record." in shown
    assert "The vocabulary knows every symbol" in shown, "of the validation data"
    assert f"antiphon inspect {run}" in shown
    assert shown.count("<strong>Source length</strong>") == 2


def test_an_audit_says_the_same_and_more(run: Path) -> None:
    make_run(run, audit=audit_of(run))
    shown = said(read_run(run))
    assert "<strong>5 records</strong> of 7 read are used." in shown
    assert "Unknown to the vocabulary, source: 7.7% of all symbols, in 1 record; such as &#x27;&lt;&#x27; (1)" in shown
    assert "1 (14.3%) record repeats an earlier one" in shown
    assert "3 (42.9%) records share a source but not the target" in shown
    assert "1 (14.3%) record has a target equal to the source" in shown
    assert "records as the model sees them" in shown
    assert "There is no audit yet" not in shown
    assert "a &lt;note&gt;" in shown


def test_overlap_is_a_warning(run: Path) -> None:
    make_run(run, audit=audit_of(run))
    shown = said(read_run(run))
    expected = "1 record (33.3%) of the validation data and 2 sources (66.7%) also stand in the training data."
    assert f'<p class="warning"><strong>Look here: </strong>{expected}</p>' in shown
    assert "<td>whole record</td>" in shown


def test_no_overlap_is_said_too(run: Path) -> None:
    content = audit_of(run)
    content["audit"]["overlaps"][0].update(pairs=0, sources=0)
    make_run(run, audit=content)
    assert "No record or source of the validation data occurs in the training data." in said(read_run(run))


def test_targets_that_do_not_come_back_are_listed(run: Path) -> None:
    content = audit_of(run)
    make_run(run, audit=content)
    assert "come back from the vocabulary" not in said(read_run(run))
    content["audit"]["splits"]["train"]["changed"] = {"records": 2, "listed": [{"record": 1, "target": "m²", "restored": "m2"}]}
    make_run(run, audit=content)
    shown = said(read_run(run))
    assert "2 targets come back from the vocabulary as other texts" in shown
    assert "<td>m²</td><td>m2</td>" in shown


def test_an_incomplete_audit_says_so(run: Path) -> None:
    content = audit_of(run)
    content["audit"]["splits"]["train"].update(complete=False, examined=4)
    make_run(run, audit=content)
    assert "The audit looked at the first 4 records." in said(read_run(run))


def test_a_damaged_corpus_is_a_warning(run: Path) -> None:
    (run / "corpus" / "train-0" / "manifest.json").write_text("{", encoding="utf-8")
    shown = said(read_run(run))
    assert "the corpus" in shown
    assert "train-0 cannot be read" in shown
    assert "3 records" in shown, "the validation data is whole"


def test_a_shared_cache_is_found(run: Path, tmp_path: Path) -> None:
    (run / "corpus").rename(tmp_path / "cache")
    recipe = (run / "recipe.yaml").read_text(encoding="utf-8").replace("  test: null", f"  test: null\n  cache: {tmp_path / 'cache'}")
    (run / "recipe.yaml").write_text(recipe, encoding="utf-8")
    assert "<strong>5 records</strong> of 7 read are used." in said(read_run(run))


def test_lengths_of_sound_are_frames(run: Path) -> None:
    header = {"format": 1, "step": 50, "source": {"channels": 80}, "target": {"unknown": SPEC.unknown}}
    (run / "best" / "checkpoint.json").write_text(json.dumps(header), encoding="utf-8")
    shown = said(read_run(run))
    source, target = (shown[shown.index(f"<strong>{side} length</strong>") :] for side in ("Source", "Target"))
    assert "frames (mean" in source[: len(source) - len(target)]
    assert "frames" not in target[: target.index("</figure>")]
    assert "symbols (mean" in target[: target.index("</figure>")]

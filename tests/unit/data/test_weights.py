"""Weights of records: read, stored, carried into batches, and refused where they are none."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import antiphon
from antiphon.contracts.configuration import validate
from antiphon.contracts.limits import Limits
from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import TokenSpec
from antiphon.data.collate import collate
from antiphon.data.corpus import build_corpus
from antiphon.data.encoding import Encoding
from antiphon.data.mapped import MappedCorpus
from antiphon.data.mixing import MixedCorpus
from antiphon.data.records import open_records
from antiphon.data.weights import weights_said
from antiphon.errors import DataError
from antiphon.tasks.denoising import DenoisingConfig, plugin

SPEC = TokenSpec(size=300, pad=0, unknown=1, start=2, end=3)


def encode(record: Any, index: int = -1, *, seed: int | None = None) -> Example:
    source = np.array([*map(ord, record["source"]), *[120] * (seed or 0), 3])
    return Example(source, np.array([2, *map(ord, record["target"]), 3]), index)


def build(folder: Path, text: str, name: str = "corpus", **settings: Any) -> MappedCorpus:
    path = folder / f"{name}.tsv"
    path.write_text(text, encoding="utf-8")
    options: dict[str, Any] = {"source": SPEC, "target": SPEC, "limits": Limits(), "fingerprint": "f", "weight_column": "w", **settings}
    return build_corpus(open_records(path), Encoding(encode, **options), folder / name)


def test_weights_are_stored_and_batched(tmp_path: Path) -> None:
    corpus = build(tmp_path, "source\ttarget\tw\na\tb\t0.5\nlong\tb\t7\nb\tc\t0\n", limits=Limits(max_source_length=3), keep_records=True)
    examples = [corpus.example(row) for row in range(2)]
    assert [example.weight for example in examples] == [0.5, 0.0], "that of the record that was dropped is gone with it"
    drawn = corpus.example(0, seed=1)
    assert drawn.weight == 0.5
    assert len(drawn.source) == 3, "encoded anew"
    batch = collate(examples, SPEC, SPEC)
    assert batch.weights is not None
    assert batch.weights.tolist() == [0.5, 0.0]
    assert batch.select_rows(torch.tensor([1])).weights.tolist() == [0.0]  # type: ignore[union-attr]
    assert corpus.weights is not None
    assert weights_said(corpus.weights) == "weights in `w` from 0 to 0.5, mean 0.25; 1 are 0 and teach nothing"


def test_equal_weights_are_none_in_a_batch(tmp_path: Path) -> None:
    corpus = build(tmp_path, "source\ttarget\tw\na\tb\t1\nb\tc\t1.0\n")
    assert collate([corpus.example(0), corpus.example(1)], SPEC, SPEC).weights is None


def test_a_mixture_keeps_the_weights_of_records(tmp_path: Path) -> None:
    parts = [build(tmp_path, f"source\ttarget\tw\na\tb\t{weight}\n", f"part{weight}") for weight in (2, 3)]
    mixture = MixedCorpus(parts, [1.0, 4.0])
    assert [mixture.example(row).weight for row in range(2)] == [2.0, 3.0]


def test_another_weight_is_another_corpus(tmp_path: Path) -> None:
    first = build(tmp_path, "source\ttarget\tw\na\tb\t1.5\n").example(0).weight
    assert (first, build(tmp_path, "source\ttarget\tw\na\tb\t12.5\n").example(0).weight) == (1.5, 12.5)


def test_records_to_validate_on_need_none(tmp_path: Path) -> None:
    corpus = build(tmp_path, "source\ttarget\na\tb\n")
    assert corpus.weights is None
    assert corpus.example(0).weight == 1.0


@pytest.mark.parametrize("weight", ["-1", "nan", "inf", "much", ""])
def test_what_is_no_weight_is_named_by_line(weight: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"corpus\.tsv:3: `w` must be a weight, a number from 0 up, but is '"):
        build(tmp_path, f"source\ttarget\tw\na\tb\t1\nb\tc\t{weight}\n")


@pytest.mark.parametrize(("rows", "what"), [([{"w": None}], "is missing"), ([{"w": True}], "is True"), ([{"w": 1}, {}], "has none")])
def test_missing_weights_are_named(rows: list[dict[str, Any]], what: str, tmp_path: Path) -> None:
    records = open_records([{"source": "a", "target": "b", **row} for row in rows])
    with pytest.raises(DataError, match=rf"record {len(rows) - 1}: .* {what}\."):
        build_corpus(records, Encoding(encode, SPEC, SPEC, Limits(), "f", weight_column="w"), tmp_path / "c")


def test_a_record_must_count(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="At least one record must have a weight above 0 in `w`, but all are 0"):
        build(tmp_path, "source\ttarget\tw\na\tb\t0\n")


def test_each_text_of_a_record_has_its_weight(tmp_path: Path) -> None:
    task = plugin.build(validate(DenoisingConfig, {"text": ["one", "two"], "vocabulary": {"kind": "character"}, "weight": "w"}))
    rows = [{"one": "abcd efgh", "two": "ijkl mnop", "w": 0.25}, {"one": "qrst", "two": "uvwx", "w": 4}]
    task.fit(open_records(rows))
    corpus = task.build_corpus(open_records(rows), tmp_path / "corpus", limits=Limits(), keep_records=False)
    assert [corpus.example(row).weight for row in range(4)] == [0.25, 0.25, 4.0, 4.0]


def recipe(folder: Path, **task: Any) -> Path:
    (folder / "recipe.yaml").write_text(
        json.dumps(
            {
                "task": {"name": "translation", "vocabulary": {"kind": "character"}, **task},
                "data": {"train": "train.tsv", "validation": 4},
                "model": {"name": "lstm", "dim": 16, "dropout": 0.0},
                "training": {
                    "max_steps": 60,
                    "device": "cpu",
                    "samples": 0,
                    "optimizer": {"name": "adamw", "learning_rate": 0.01},
                    "schedule": {"name": "constant"},
                },
            }
        ),
        encoding="utf-8",
    )
    return folder / "recipe.yaml"


def test_only_what_counts_is_learned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"a{number}\t{'right' if number % 2 else 'wrong'}\t{number % 2}" for number in range(40)]
    (tmp_path / "train.tsv").write_text("\n".join(["source\ttarget\tquality", *rows]) + "\n", encoding="utf-8")
    model = antiphon.load(antiphon.train(recipe(tmp_path, weight="quality"), tmp_path / "run"), device="cpu")
    right, wrong = model.score([{"source": "a7", "target": target} for target in ("right", "wrong")])
    assert right.hypothesis.score > wrong.hypothesis.score + 1
    assert "weights in `quality` from 0 to 1" in capsys.readouterr().err


def test_training_needs_the_column(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("source\ttarget\n" + "a\tb\n" * 9, encoding="utf-8")
    with pytest.raises(DataError, match=r"has no column `quality`, which `task\.weight` asks for; it has: source, target"):
        antiphon.train(recipe(tmp_path, weight="quality"), tmp_path / "run")

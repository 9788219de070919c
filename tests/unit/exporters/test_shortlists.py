"""Shortlists: what a source may say, counted on the model's own attention."""

from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

import antiphon
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import Example, Memory, Output, Padded
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.engines.shortlist import Shortlist
from antiphon.errors import ExportError
from antiphon.exporters import shortlists
from antiphon.heads.categorical import Categorical
from antiphon.recipe.recipe import recipe_from
from antiphon.runs import parity
from tests.checked_shapes import unchecked

SPEC = TokenSpec(size=120, pad=0, unknown=1, start=2, end=3, fingerprint="test")


class Looks(StepwiseModel):
    """Says behind a symbol s of the source, read alone, s + 1 and then s + 2; step t looks at symbol t of the source, and a little at the
    next."""

    source = target = SPEC
    gives_attention = True

    def encode(self, source: Padded) -> Memory:
        return Memory(source.values.unsqueeze(-1).float(), source.mask)

    def project(self, memory: Memory) -> Memory:
        return memory

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        steps, states = inputs.values.shape[1], memory.mask.shape[1]
        weights = 0.9 * torch.eye(steps, states) + 0.09 * torch.eye(steps + 1, states)[1:] + 0.01
        return Output(torch.zeros(len(memory.mask), steps, 1), lambda _: None, weights.expand(len(memory.mask), -1, -1))

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> None:
        return None

    def step(self, last: torch.Tensor, memory: Memory, state: None, *, attention: bool = False) -> tuple[Output, None]:
        first = memory.states[:, 0].long()
        wanted = torch.zeros(len(last), SPEC.size + 2).scatter(1, first + 1, 2.0).scatter(1, first + 2, 1.0)
        return Output(wanted[:, : SPEC.size], lambda features: features), None


def example(source: list[int], target: list[int]) -> Example:
    return Example(np.array([*source, SPEC.end]), np.array([SPEC.start, *target, SPEC.end]))


def test_symbols_are_linked_with_what_looks_at_them() -> None:
    given = [example([10, 11], [20, 21]), example([10], [20]), example([11, 10], [21, 22])]
    found = shortlists.make(Looks(), given, 2)
    assert found.of(10).tolist() == [20, 22, 11, 10]  # linked, said of it alone, itself; 21 looks at it a little
    assert found.of(11).tolist() == [21, 20, 12, 11]
    assert found.of(50).tolist() == [51, 50]
    assert {0, 1, 2, 3, 20, 21, 22} <= set(found.always.tolist())
    assert len(found.always) < SPEC.size


def test_each_source_has_its_own() -> None:
    listed = Shortlist(np.array([0, 1, 3]), np.array([5, 6, 7]), np.array([0]), 9)
    allowed = listed.allowed([[0], [0, 1], [1, 1]], [[], [8], []])
    assert [np.flatnonzero(row).tolist() for row in allowed] == [[0, 5], [0, 5, 6, 7, 8], [0, 6, 7]]


WORDS = [f"w{number}" for number in range(150)]
"""More than may always be said, which are 100."""


def pairs(count: int, seed: int) -> list[dict[str, str]]:
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        words = draw.choice(WORDS, draw.integers(1, 6)).tolist()
        found.append({"source": " ".join(words), "target": " ".join(f"t{word}" for word in words)})
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sizes = {"dim": 32, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "feed_forward_dim": 32, "dropout": 0.0}
    recipe = recipe_from(
        {
            "task": {"name": "translation", "vocabulary": {"kind": "word"}},
            "model": {"name": "transformer", **sizes},
            "data": {"validation": 8},
            "training": {"max_steps": 20, "samples": 0},
            "search": {"name": "beam", "beam_size": 3},
        }
    )
    return antiphon.train(recipe, tmp_path_factory.mktemp("run") / "run", data={"train": pairs(150, 1)})


def exported(run: Path, out: Path, **settings: Any) -> tuple[Path, str]:
    told = StringIO()
    with unchecked():
        folder = antiphon.export(run, out=out, shortlist=5, allow_loss=True, console=Console(file=told, width=1000), **settings)
    return folder, told.getvalue()


@pytest.fixture(scope="module")
def onnx(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    folder, told = exported(run, tmp_path_factory.mktemp("onnx") / "fp32", format="onnx")
    assert "Counting a shortlist on 142 records" in told
    assert "records a second" in told
    return folder


def allowed_of(folder: Path, source: str) -> set[int]:
    model = antiphon.load(folder)
    listed = model.model.shortlist  # type: ignore[attr-defined]
    return set(np.flatnonzero(listed.allowed([model.task.encode({"source": source}).source.tolist()])[0]).tolist())


@pytest.mark.slow
def test_a_source_says_what_it_may(run: Path, onnx: Path) -> None:
    """The best of what may be said by the run's own log-probabilities, as if all else were forbidden, alone and beside others."""
    original, again = antiphon.load(run), antiphon.load(onnx)
    sources = [pair["source"] for pair in pairs(12, 2)]
    for search in ({"name": "greedy"}, {"name": "beam", "beam_size": 3}):
        found = again.with_search(search).predict(sources)
        for source, one in zip(sources, found, strict=True):
            allowed = allowed_of(onnx, source)
            others = tuple(set(range(original.model.target.size)) - allowed)
            expected = original.with_search({**search, "processors": {"forbidden": others}}).predict(source)
            if search["name"] == "greedy":  # a beam compares lengths by log-probabilities, which are others among fewer symbols
                assert one.text == expected.text
            assert set(one.hypothesis.elements.tolist()) <= allowed
            alone = again.with_search(search).predict(source)
            assert alone.text == one.text
            assert alone.hypothesis.score == pytest.approx(one.hypothesis.score, abs=1e-5)
    whole = antiphon.load(onnx, overrides=["engine.search=ours"])
    assert [one.text for one in whole.predict(sources)] == [one.text for one in original.predict(sources)]


@pytest.mark.slow
def test_what_is_asked_for_can_be_said(onnx: Path) -> None:
    model, source = antiphon.load(onnx), pairs(1, 3)[0]["source"]
    words = model.task.pieces("target", np.arange(model.model.target.size))
    allowed = allowed_of(onnx, source)
    first, second = [word for number, word in enumerate(words) if number not in allowed and word.startswith("tw")][:2]
    beside = {"source": pairs(1, 4)[0]["source"]}
    begun = model.predict([{"source": source, "prefix": first}, beside])
    assert begun[0].text.startswith(first)
    assert begun[1].text == model.predict(beside).text
    required = model.predict({"source": source, "required": [second], "banned": [first, model.predict(source).text.split()[0]]})
    assert second in required.text.split()
    with pytest.raises(antiphon.errors.DataError, match="must be what the vocabulary can write"):
        model.predict({"source": source, "prefix": "never seen"})


@pytest.mark.slow
def test_scores_are_of_the_whole_vocabulary(run: Path, onnx: Path) -> None:
    records = pairs(6, 5)
    for one, other in zip(antiphon.load(run).score(records), antiphon.load(onnx).score(records), strict=True):
        assert one.hypothesis.log_prob == pytest.approx(other.hypothesis.log_prob, abs=1e-4)


@pytest.mark.slow
def test_8_bits_say_the_same_alone(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    folder, _ = exported(run, tmp_path / "int8", format="onnx", precision="int8", check=0)
    model, sources = antiphon.load(folder), [pair["source"] for pair in pairs(12, 6)]
    for one, source in zip(model.predict(sources), sources, strict=True):
        alone = model.predict(source)
        assert alone.text == one.text
        assert alone.hypothesis.score == pytest.approx(one.hypothesis.score, abs=1e-4)


def measured(apart: float, lost: float) -> parity.Parity:
    return parity.Parity(
        data="this data",
        records=4,
        precision="fp32",
        log_probability=apart,
        outputs=(parity.Outputs("greedy", 1, 0, 4),),
        scores=(parity.Change("bleu", 30.0, 30.0 - lost, -2.0, 0.1, lost, 0.5),),
        size=(1, 1),
        speed=(1.0, 1.0),
        shortlist=True,
    )


def test_with_a_shortlist_outputs_may_differ_and_quality_decides() -> None:
    parity.check(measured(1e-6, 0.4), allow_loss=False)
    parity.check(measured(1e-6, 0.6), allow_loss=True)
    with pytest.raises(ExportError, match=r"with a shortlist, which loses more than 0\.5\. Export with a longer `--shortlist`"):
        parity.check(measured(1e-6, 0.6), allow_loss=False)
    with pytest.raises(ExportError, match="fault of the exporter"):
        parity.check(measured(1e-2, 0.4), allow_loss=True)


class Plain(Looks):
    """Without attention."""

    gives_attention = False
    head = Categorical(1, SPEC.size, bias=False, tied=None)


def test_what_has_no_shortlist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"`model\.head: categorical`"):
        shortlists.checked(Looks(), "german")
    with pytest.raises(ExportError, match="attention over the symbols of the source"):
        shortlists.checked(Plain(), "german")
    odd = Looks()
    odd.source = ValueSpec(channels=2)
    with pytest.raises(ExportError, match="symbols into symbols"):
        shortlists.checked(odd, "german")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"format": "torch", "shortlist": 5}, "`--shortlist` is for `--format"),
        ({"format": "onnx", "shortlist_data": "pairs.tsv"}, "`--shortlist 50`"),
        ({"format": "onnx", "shortlist": 0}, "must be at least 1"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(run: Path, tmp_path: Path, settings: Any, sentence: str) -> None:
    with pytest.raises(ExportError, match=sentence):
        antiphon.export(run, out=tmp_path / "out", **settings)

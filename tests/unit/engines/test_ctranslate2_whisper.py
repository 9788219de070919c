"""CTranslate2 says what our Whisper says, and its greedy search finds what ours finds."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import antiphon
from antiphon.contracts.engine import Exported
from antiphon.contracts.sequences import Hypothesis, Padded, Request, select_rows
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.engines.ctranslate2 import plugin
from antiphon.engines.ctranslate2_whisper import CTranslate2Whisper
from antiphon.engines.ctranslate2_whisper_search import CTranslate2WhisperSearch
from antiphon.errors import AntiphonError, DataError, ExportError
from antiphon.exporters.ctranslate2_whisper import check, write_whisper
from antiphon.exporters.graphs import facts_of
from antiphon.heads.categorical import CategoricalConfig
from antiphon.models.whisper import Whisper, WhisperConfig
from antiphon.search.beam import BeamConfig
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.limits import LimitsConfig
from antiphon.search.processors import ProcessorsConfig
from tests.unit.importers.foreign_models import write_whisper as write_foreign

FRAMES, BINS, OPENING, LATER = 24, 5, (7,), (9, 8, 7)
SPEC = TokenSpec(size=60, pad=0, unknown=1, start=2, end=3)


def talkative(frames: int | None = FRAMES) -> Whisper:
    """A model whose outputs end by themselves, at lengths that depend on what was heard: the end grows likelier from step to step."""
    torch.manual_seed(0)
    settings = WhisperConfig(dim=32, heads=4, encoder_layers=2, decoder_layers=2, max_positions=24, head=CategoricalConfig(bias=True))
    model = Whisper(settings, ValueSpec(BINS, length=frames), SPEC).eval()
    head: Any = model.head
    with torch.no_grad():
        for layer in model.decoder.blocks:
            layer.cross.out.weight.mul_(4)  # type: ignore[union-attr]
            layer.cross.query.weight.mul_(3)  # type: ignore[union-attr]
        table = model.decoder.positioned.table
        assert table is not None
        table.weight.copy_(torch.randn(table.weight.shape) / 2)
        head.weight.mul_(3)
        if frames is not None:
            read = torch.randint(4, 60, (64, 23))
            logits = model.decode(Padded(read, torch.full((64,), 23)), model.encode(recordings(64, 2))).values
            head.bias.copy_(-logits.mean((0, 1)))  # so that what is likely depends on what was heard
        table.weight[:, 0] = torch.linspace(-1, 10, 24)
        head.weight[:, 0] = 0
        head.weight[SPEC.end, 0] = 8
    return model


def opened(model: Whisper, folder: Path, opening: tuple[int, ...] = OPENING, precision: Any = "fp32") -> CTranslate2Whisper:
    write_whisper(model, folder, opening, precision)
    facts, details = replace(facts_of(model), gives_attention=False, pool=None), {"model": "whisper", "opening": list(opening)}
    found = plugin.open(Exported(folder, model.source, model.target, model.settings.head, precision, facts, {}, details))
    assert isinstance(found, CTranslate2Whisper)
    return found


@pytest.fixture(scope="module")
def ours() -> Whisper:
    return talkative()


@pytest.fixture(scope="module")
def theirs(ours: Whisper, tmp_path_factory: pytest.TempPathFactory) -> CTranslate2Whisper:
    return opened(ours, tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def later(ours: Whisper, tmp_path_factory: pytest.TempPathFactory) -> CTranslate2Whisper:
    return opened(ours, tmp_path_factory.mktemp("later"), LATER)


def recordings(count: int = 16, seed: int = 1) -> Padded:
    values = torch.randn(count, FRAMES, BINS, generator=torch.Generator().manual_seed(seed)) * 3
    return Padded(values, torch.full((count,), FRAMES))


def same(found: list[list[Hypothesis]], expected: list[list[Hypothesis]], tolerance: float = 1e-4) -> None:
    for (one,), (other,) in zip(found, expected, strict=True):
        assert one.elements.tolist() == other.elements.tolist()
        assert one.finish_reason == other.finish_reason
        assert abs(one.score - other.score) < tolerance
        assert abs(one.log_prob - other.log_prob) < tolerance
        np.testing.assert_allclose(one.step_scores, other.step_scores, atol=tolerance)


@torch.no_grad()
def test_it_says_what_the_model_says(ours: Whisper, theirs: CTranslate2Whisper) -> None:
    source, inputs = recordings(3), torch.randint(4, 60, (3, 6), generator=torch.Generator().manual_seed(2))
    inputs[:, 0] = SPEC.start
    inputs[1, 3], inputs[2, 1:3] = SPEC.end, torch.tensor([7, SPEC.start])  # whatever our searches may read
    memory, heard = ours.encode(source), theirs.encode(source)
    torch.testing.assert_close(heard.states, memory.states, atol=1e-4, rtol=0)
    padded = Padded(inputs, torch.full((3,), 6))
    logits = ours.decode(padded, memory).values.log_softmax(-1)
    torch.testing.assert_close(theirs.decode(padded, heard).values.log_softmax(-1), logits, atol=1e-4, rtol=0)

    rows, chosen = torch.tensor([1, 1, 0, 0, 2, 2]), select_rows(heard, torch.tensor([1, 0, 2]))
    state = theirs.init_state(chosen, 2, 6)
    for step in range(6):
        output, state = theirs.step(inputs[rows, step], chosen, state)
        torch.testing.assert_close(output.values.log_softmax(-1), logits[rows, step], atol=1e-4, rtol=0)


SEARCHES = {
    "plain": GreedyConfig(),
    "cut": GreedyConfig(limits=LimitsConfig(max_ratio=0, max_offset=12)),
    "forbidden": GreedyConfig(processors=ProcessorsConfig(allow_unknown=False, forbidden=tuple(range(20, 40)))),
    "forbidden first": GreedyConfig(processors=ProcessorsConfig(forbidden_first=(3, *range(10, 30)))),
    "both": GreedyConfig(processors=ProcessorsConfig(forbidden=(12, 13, 50, 51), forbidden_first=tuple(range(20, 40)))),
}


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("opening", [OPENING, LATER])
def test_its_own_search_finds_what_ours_finds(
    name: str, opening: tuple[int, ...], ours: Whisper, theirs: CTranslate2Whisper, later: CTranslate2Whisper
) -> None:
    source, settings = recordings(), SEARCHES[name]
    requests = [Request(prefix=opening, given=len(opening))] * 16
    expected = GreedySearch(settings)(ours, source, requests)
    lengths = {len(own[0].elements) for own in expected}
    assert len({tuple(own[0].elements.tolist()) for own in expected}) > 8, "a test of outputs that are all alike proves little"
    assert len(lengths) > 1
    assert any(own[0].finish_reason == "length" for own in expected) == (name == "cut")
    search = (theirs if opening == OPENING else later).own_search(settings)
    assert isinstance(search, CTranslate2WhisperSearch)
    same(search(theirs if opening == OPENING else later, source, requests), expected)


def test_what_is_forbidden_was_said(ours: Whisper) -> None:
    requests = [Request(prefix=OPENING, given=1)] * 16
    said = [own[0].elements.tolist() for own in GreedySearch(GreedyConfig())(ours, recordings(), requests)]
    assert any(set(range(20, 40)) & set(one) for one in said)
    assert any(one[1] in range(10, 30) for one in said)


def test_requests(ours: Whisper, theirs: CTranslate2Whisper) -> None:
    source, settings = recordings(), GreedyConfig()
    requests = [
        Request(prefix=(*OPENING, 11, 12, 13)[: 1 + row % 4], given=1)
        if row % 3 == 0
        else Request(prefix=(8,)[: row % 2])  # begins otherwise
        if row % 3 == 1
        else Request(prefix=OPENING, given=1, banned=((4, 5), (10,)))
        for row in range(16)
    ]
    search = theirs.own_search(settings)
    assert search is not None
    same(search(theirs, source, requests), GreedySearch(settings)(ours, source, requests))


def test_an_opening_of_nothing_is_searched_by_ours(ours: Whisper, tmp_path: Path) -> None:
    model = opened(ours, tmp_path, ())
    assert model.own_search(GreedyConfig()) is None
    same(GreedySearch(GreedyConfig())(model, recordings(4), None), GreedySearch(GreedyConfig())(ours, recordings(4), None))


@pytest.mark.parametrize(
    "settings",
    [BeamConfig(), GreedyConfig(alignment=True), GreedyConfig(length_reward=0.5), GreedyConfig(limits=LimitsConfig(min_length=3))],
)
def test_other_settings_are_ours(settings: Any, theirs: CTranslate2Whisper) -> None:
    assert theirs.own_search(settings) is None


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_alone_and_in_any_batch(precision: str, ours: Whisper, tmp_path: Path) -> None:
    model, source, request = opened(ours, tmp_path, precision=precision), recordings(), Request(prefix=OPENING, given=1)
    search = model.own_search(GreedyConfig())
    assert search is not None
    together = search(model, source, [request] * 16)
    alone = [search(model, select_rows(source, torch.tensor([row])), [request])[0] for row in range(16)]
    same(together, alone)


def test_recordings_that_are_not_filled_up(theirs: CTranslate2Whisper) -> None:
    with pytest.raises(DataError, match="exported for recordings of 24 frames, but one has 20"):
        theirs.encode(Padded(recordings(2).values, torch.tensor([24, 20])))
    with pytest.raises(ExportError, match=r"filled up to one length \(`task\.features\.padded_seconds`\)"):
        check(talkative(None))


def test_an_imported_whisper_is_exported_and_opened_like_a_run(tmp_path: Path) -> None:
    write_foreign(tmp_path / "model")
    run = antiphon.import_model("ctranslate2_whisper", tmp_path / "model", tmp_path / "run")
    folder = antiphon.export(run, format="ctranslate2", out=tmp_path / "out")
    sounds = [
        {"audio": (np.random.default_rng(seed).normal(size=8000) * 0.1).astype(np.float32), "sample_rate": 16000} for seed in range(4)
    ]
    found, expected = antiphon.load(folder).predict(sounds), antiphon.load(run).predict(sounds)
    for one, other in zip(found, expected, strict=True):
        assert one.text == other.text
        same([[one.hypothesis]], [[other.hypothesis]])
    with pytest.raises(AntiphonError, match="this model has none"):
        antiphon.load(folder, overrides=["search.alignment=true"]).predict(sounds[0])

"""CTranslate2 says what our model says, and its own searches find what ours find, where they say that they do."""

import copy
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from antiphon.contracts.engine import Exported
from antiphon.contracts.sequences import Hypothesis, Padded, Request, pad, select_rows
from antiphon.contracts.specs import TokenSpec
from antiphon.engines.ctranslate2 import plugin
from antiphon.engines.ctranslate2_model import CTranslate2Transformer
from antiphon.engines.ctranslate2_search import CTranslate2Search
from antiphon.errors import CheckpointError, ConfigError
from antiphon.exporters.ctranslate2 import write_transformer
from antiphon.exporters.graphs import facts_of
from antiphon.heads.categorical import CategoricalConfig
from antiphon.layers.transformer_config import TransformerConfig
from antiphon.models.transformer import Transformer
from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.hot_words import HotWordsConfig
from antiphon.search.limits import LimitsConfig
from antiphon.search.processors import ProcessorsConfig
from antiphon.search.scoring import score

SPEC = TokenSpec(size=60, pad=0, unknown=1, start=2, end=3)


def talkative() -> Transformer:
    """A model whose outputs end by themselves, at lengths that depend on what was said: the end grows likelier from step to step."""
    torch.manual_seed(0)
    settings = TransformerConfig(
        dim=32, heads=4, encoder_layers=2, decoder_layers=2, feed_forward_dim=64, positions="learned", max_positions=80,
        tied_embeddings="none", head=CategoricalConfig(bias=True),
    )  # fmt: skip
    model = Transformer(settings, SPEC, SPEC).eval()
    with torch.no_grad():
        head: Any = model.head
        head.weight.mul_(2.5)
        head.weight[:, 0] = 0
        head.weight[SPEC.end, 0] = 3
        head.bias[[SPEC.pad, SPEC.start]] = -25.0
        assert model.target_positioned.table is not None
        model.target_positioned.table.weight[:, 0] = torch.linspace(-4, 40, 80)
    return model


def opened(model: Transformer, folder: Path, precision: Any = "fp32") -> CTranslate2Transformer:
    write_transformer(model, folder, 80, precision)
    found = plugin.open(Exported(folder, model.source, model.target, model.settings.head, precision, facts_of(model)))
    assert isinstance(found, CTranslate2Transformer)
    return found


@pytest.fixture(scope="module")
def ours() -> Transformer:
    return talkative()


@pytest.fixture(scope="module")
def theirs(ours: Transformer, tmp_path_factory: pytest.TempPathFactory) -> CTranslate2Transformer:
    return opened(ours, tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def small(ours: Transformer, tmp_path_factory: pytest.TempPathFactory) -> CTranslate2Transformer:
    return opened(ours, tmp_path_factory.mktemp("small"), "int8")


def sources(count: int = 40, seed: int = 1) -> Padded:
    draw = np.random.default_rng(seed)
    return pad([np.append(draw.integers(4, SPEC.size, draw.integers(0, 12)), SPEC.end) for _ in range(count)])


def same(found: list[list[Hypothesis]], expected: list[list[Hypothesis]], tolerance: float = 1e-4) -> None:
    """The same symbols, and the same scores up to rounding; 8 bits round to another number now and then."""
    for own, others in zip(found, expected, strict=True):
        assert [one.elements.tolist() for one in own] == [one.elements.tolist() for one in others]
        for one, other in zip(own, others, strict=True):
            assert one.finish_reason == other.finish_reason
            assert abs(one.score - other.score) < tolerance
            assert abs(one.log_prob - other.log_prob) < tolerance
            np.testing.assert_allclose(one.step_scores, other.step_scores, atol=tolerance)
            if other.alignment is not None:
                assert one.alignment is not None
                np.testing.assert_allclose(one.alignment, other.alignment, atol=tolerance)


SEARCHES = {
    "greedy": GreedyConfig(),
    "greedy, aligned": GreedyConfig(alignment=True),
    "greedy, cut": GreedyConfig(limits=LimitsConfig(max_ratio=0.5, max_offset=2)),
    "greedy, forbidden": GreedyConfig(processors=ProcessorsConfig(allow_unknown=False, forbidden=(7, 8, 9, 20, 21, 22, 40, 41))),
    "beam": BeamConfig(),
    "beam, several": BeamConfig(beam_size=4, n_best=3, alignment=True),
    "beam, sum": BeamConfig(length_penalty="none"),
    "beam, power": BeamConfig(length_penalty="power", alpha=0.4, n_best=2),
    "beam, power of zero": BeamConfig(length_penalty="power", alpha=0.0),
    "beam, cut": BeamConfig(beam_size=3, limits=LimitsConfig(max_ratio=0.5, max_offset=2)),
    "beam of one": BeamConfig(beam_size=1),
}


def found_by_us(settings: Any, model: Any, source: Padded, requests: Any = None) -> list[list[Hypothesis]]:
    search = GreedySearch(settings) if isinstance(settings, GreedyConfig) else BeamSearch(settings)
    return search(model, source, requests)


def found_by_them(settings: Any, model: CTranslate2Transformer, source: Padded, requests: Any = None) -> list[list[Hypothesis]]:
    search = model.own_search(settings)
    assert search is not None
    return search(model, source, requests)


@pytest.mark.parametrize("name", SEARCHES)
def test_its_own_search_finds_what_ours_finds(name: str, ours: Transformer, theirs: CTranslate2Transformer) -> None:
    source = sources()
    expected = found_by_us(SEARCHES[name], ours, source)
    lengths = {len(own[0].elements) for own in expected}
    assert len(lengths) > 3, "a test of outputs that are all alike proves little"
    assert ("cut" in name) == any(own[0].finish_reason == "length" for own in expected)
    same(found_by_them(SEARCHES[name], theirs, source), expected)


@pytest.fixture
def by_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many sources our beam search was asked, once for each batch."""
    asked: list[int] = []
    search = BeamSearch.__call__

    def counted(self: BeamSearch, model: Any, source: Padded, requests: Any = None) -> list[list[Hypothesis]]:
        asked.append(source.values.shape[0])
        return search(self, model, source, requests)

    monkeypatch.setattr(BeamSearch, "__call__", counted)
    return asked


@pytest.mark.parametrize(("best", "most"), [(1, 16), (3, 29)])
def test_what_the_limit_cannot_change_is_not_searched_by_steps(
    best: int, most: int, ours: Transformer, theirs: CTranslate2Transformer, by_steps: list[int]
) -> None:
    settings, source = BeamConfig(beam_size=4, n_best=best, limits=LimitsConfig(max_ratio=0.9, max_offset=4)), sources(60)
    expected = found_by_us(settings, ours, source)
    assert sum(own[0].finish_reason == "length" for own in expected) > 5
    by_steps.clear()
    same(found_by_them(settings, theirs, source), expected)
    assert 0 < sum(by_steps) <= most  # 30 have a hypothesis that met its limit


@pytest.mark.parametrize("name", ["greedy", "beam", "beam of one", "beam, several"])
def test_requests(name: str, ours: Transformer, theirs: CTranslate2Transformer) -> None:
    source = sources(24)
    free = found_by_us(SEARCHES[name], ours, source)
    requests = [
        Request(prefix=tuple(own[0].elements.tolist()))  # what would end at once
        if row % 3 == 0
        else Request(prefix=(5, 6, 7, 8)[: row % 5], given=min(row % 2, row % 5))
        if row % 3 == 1
        else Request(banned=tuple((symbol,) for symbol in own[0].elements.tolist()[:2]))
        for row, own in enumerate(free)
    ]
    same(found_by_them(SEARCHES[name], theirs, source, requests), found_by_us(SEARCHES[name], ours, source, requests))


@pytest.mark.parametrize(
    "settings",
    [
        BeamConfig(),
        BeamConfig(beam_size=4, n_best=3, length_penalty="none"),
        BeamConfig(beam_size=3, length_penalty="power", alpha=0.4, limits=LimitsConfig(max_ratio=0.9, max_offset=6)),
    ],
)
def test_a_beam_behind_a_beginning_is_its_own(
    settings: BeamConfig, ours: Transformer, theirs: CTranslate2Transformer, by_steps: Any
) -> None:
    source, draw = sources(80, seed=3), np.random.default_rng(4)
    requests = [Request(prefix=tuple(draw.integers(4, SPEC.size, draw.integers(0, 5)).tolist())) for _ in range(80)]
    expected = found_by_us(settings, ours, source, requests)
    by_steps.clear()
    same(found_by_them(settings, theirs, source, requests), expected)
    assert 0 < sum(by_steps) <= 20  # the end is among the best behind some beginnings


def test_what_it_only_does_by_steps(ours: Transformer, theirs: CTranslate2Transformer) -> None:
    source = sources(6)
    for settings in (
        BeamConfig(beam_size=3, length_penalty="gnmt", coverage_penalty=0.2),
        BeamConfig(beam_size=4, groups=2, n_best=2),
        GreedyConfig(processors=ProcessorsConfig(no_repeat_ngram_size=2, repetition_penalty=1.2)),
        GreedyConfig(limits=LimitsConfig(min_length=3)),
    ):
        assert theirs.own_search(settings) is None
        same(found_by_us(settings, theirs, source), found_by_us(settings, ours, source))


@pytest.mark.parametrize(
    "settings",
    [
        BeamConfig(length_penalty="gnmt"),
        BeamConfig(patience=2.0),
        BeamConfig(groups=5),
        BeamConfig(coverage_penalty=0.1),
        BeamConfig(spans=True),
        BeamConfig(beam_size=15),
        BeamConfig(processors=ProcessorsConfig(allow_unknown=False)),
        BeamConfig(processors=ProcessorsConfig(forbidden=(7,))),
        BeamConfig(ctc_weight=0.3),
        BeamConfig(limits=LimitsConfig(min_ratio=0.5)),
        GreedyConfig(hot_words=HotWordsConfig(phrases=("word",))),
        GreedyConfig(length_reward=0.5),
        GreedyConfig(processors=ProcessorsConfig(repetition_penalty=1.1)),
        GreedyConfig(processors=ProcessorsConfig(forbidden_first=(3,))),
        GreedyConfig(limits=LimitsConfig(unit="words")),
    ],
)
def test_other_settings_are_ours(settings: Any, theirs: CTranslate2Transformer) -> None:
    assert theirs.own_search(settings) is None


def test_symbols_that_are_not_to_be_said(theirs: CTranslate2Transformer) -> None:
    model = theirs
    first = replace(SPEC, suppressed_first=(5,))
    never = replace(SPEC, suppressed=(5,))
    assert isinstance(model.own_search(GreedyConfig()), CTranslate2Search)
    for spec, settings in ((first, GreedyConfig()), (first, BeamConfig()), (never, BeamConfig())):
        model.target = model.symbols = spec
        try:
            assert model.own_search(settings) is None
            allowed = replace(settings, processors=ProcessorsConfig(allow_suppressed=True))
            assert model.own_search(allowed) is not None
        finally:
            model.target = model.symbols = SPEC


@pytest.mark.parametrize("name", ["greedy", "beam"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_alone_and_in_any_batch(name: str, precision: str, theirs: CTranslate2Transformer, small: CTranslate2Transformer) -> None:
    model, source = theirs if precision == "fp32" else small, sources(24)
    together = found_by_them(SEARCHES[name], model, source)
    alone = [found_by_them(SEARCHES[name], model, select_rows(source, torch.tensor([row])))[0] for row in range(24)]
    same(together, alone, 1e-4)
    backwards = found_by_them(SEARCHES[name], model, select_rows(source, torch.arange(23, -1, -1)))
    same(backwards[::-1], together, 1e-4)


@pytest.mark.parametrize("bias", [-2.0, 2.0])
def test_what_may_not_be_said_takes_no_place_of_the_beam(bias: float, ours: Transformer, tmp_path: Path, by_steps: list[int]) -> None:
    model = copy.deepcopy(ours)
    with torch.no_grad():
        head: Any = model.head
        head.bias[[SPEC.pad, SPEC.start]] = bias  # likelier than many others
    source, settings = sources(24), BeamConfig(beam_size=3)
    expected = found_by_us(settings, model, source)
    by_steps.clear()
    same(found_by_them(settings, opened(model, tmp_path), source), expected)
    assert (sum(by_steps) == 0) == (bias < 0)  # what is likely nearly everywhere leaves too few hypotheses to be sure


@pytest.mark.parametrize("name", ["greedy", "beam"])
def test_8_bits_are_searched_alike_by_both(name: str, small: CTranslate2Transformer, ours: Transformer) -> None:
    source = sources(12)
    found = found_by_them(SEARCHES[name], small, source)
    same(found, found_by_us(SEARCHES[name], small, source), 0.02)
    exact = score(ours, source, [own[0].elements for own in found])
    differences = [abs(one[0].log_prob - other.log_prob) / len(other.step_scores) for one, other in zip(found, exact, strict=True)]
    assert 1e-4 < np.mean(differences) < 0.03  # of 8 bits; of sums that are cut off at 16 bits it would be several times as much


def test_scores_are_computed_when_they_are_read(theirs: CTranslate2Transformer) -> None:
    found = [own[0] for own in found_by_them(GreedyConfig(), theirs, sources(5))]
    for one in pickle.loads(pickle.dumps(found)):  # noqa: S301
        assert isinstance(one.step_scores, tuple)
        assert len(one.step_scores) == len(one.elements) + 1
    assert found[1].step_scores[1:] == tuple(found[1].step_scores)[1:]
    assert abs(sum(found[2].step_scores) - found[2].log_prob) < 1e-4


def test_damaged_files(ours: Transformer, tmp_path: Path) -> None:
    opened(ours, tmp_path)
    (tmp_path / "model.bin").write_bytes((tmp_path / "model.bin").read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="cannot be opened by CTranslate2"):
        plugin.open(Exported(tmp_path, SPEC, SPEC, None, "fp32", facts_of(ours)))


def test_a_precision_that_the_processor_lacks(ours: Transformer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctranslate2.get_supported_compute_types", lambda _: {"float32"})
    with pytest.raises(ConfigError, match=r"`--precision int8`, which CTranslate2 .* does not support on this processor"):
        plugin.open(Exported(tmp_path, SPEC, SPEC, None, "int8", facts_of(ours)))

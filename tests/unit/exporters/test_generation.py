"""Which settings of `generate` stand for our searches."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from antiphon.contracts.configuration import plain
from antiphon.contracts.specs import TokenSpec
from antiphon.exporters.generation import generation_settings
from antiphon.search.beam import BeamConfig
from antiphon.search.fusion import LanguageModelConfig
from antiphon.search.greedy import GreedyConfig
from antiphon.search.hot_words import HotWordsConfig
from antiphon.search.limits import LimitsConfig
from antiphon.search.mbr import plugin as mbr
from antiphon.search.processors import ProcessorsConfig
from antiphon.search.sampling import SamplingConfig

SPEC = TokenSpec(size=11, pad=0, unknown=1, start=2, end=3)
SAME = TokenSpec(size=11, pad=1, unknown=0, start=3, end=3)
FIXED = LimitsConfig(max_ratio=0, max_offset=24)


def settings(search: Any, opening: tuple[int, ...] = (), longest: int | None = 10, **more: Any) -> tuple[dict[str, Any], list[str]]:
    return generation_settings(plain(search), SPEC, opening, longest, **more)


def test_greedy() -> None:
    found, lost = settings(
        GreedyConfig(limits=FIXED, processors=ProcessorsConfig(allow_unknown=False, no_repeat_ngram_size=2)), opening=(7,)
    )
    assert not lost
    assert (found["num_beams"], found["do_sample"], found["no_repeat_ngram_size"]) == (1, False, 2)
    assert (found["decoder_start_token_id"], found["eos_token_id"], found["forced_bos_token_id"]) == (2, 3, 7)
    assert found["suppress_tokens"] == [0, 1, 2]
    assert settings(GreedyConfig())[0]["suppress_tokens"] == [0, 2]


def test_a_symbol_that_ends_may_also_start() -> None:
    same = TokenSpec(size=11, pad=3, unknown=1, start=3, end=3)
    assert generation_settings(plain(GreedyConfig()), same, (), None)[0]["suppress_tokens"] is None


@pytest.mark.parametrize(
    ("limits", "positions", "expected"),
    [
        (LimitsConfig(), None, 37),
        (LimitsConfig(max_length=9), None, 10),
        (LimitsConfig(max_ratio=0, max_offset=4), None, 5),
        (LimitsConfig(), 20, 19),
    ],
)
def test_the_limit_is_that_of_the_longest_source(limits: LimitsConfig, positions: int | None, expected: int) -> None:
    assert settings(GreedyConfig(limits=limits), positions=positions)[0]["max_new_tokens"] == expected


def test_beam() -> None:
    found, lost = settings(BeamConfig(beam_size=4, length_penalty="none", limits=FIXED))
    assert not lost
    assert (found["num_beams"], found["early_stopping"], found["length_penalty"]) == (4, True, 0.0)
    assert settings(BeamConfig(beam_size=1))[0]["num_beams"] == 1
    _, lost = settings(BeamConfig(length_penalty="gnmt", coverage_penalty=0.2, limits=LimitsConfig(min_ratio=0.5)))
    assert [sentence.split("`")[1].split(":")[0] for sentence in lost] == [
        "search.length_penalty",
        "search.coverage_penalty",
        "search.limits.max_ratio",
        "search.limits.min_ratio",
    ]


def test_what_is_random_or_unknown_is_said() -> None:
    found, lost = settings(SamplingConfig(temperature=0.7, top_k=5))
    assert (found["do_sample"], found["temperature"], found["top_k"]) == (True, 0.7, 5)
    assert "other random numbers" in lost[0]
    found, lost = settings(mbr.Config())
    assert found["num_beams"] == 5
    assert "`search.name: mbr` has no counterpart" in lost[0]


CHANGES: dict[str, dict[str, Any]] = {
    "search": {
        "name": "greedy",
        "beam_size": 3,
        "n_best": 2,
        "length_penalty": "none",
        "coverage_penalty": 0.2,
        "groups": 2,
        "ctc_weight": 0.3,
        "language_model": LanguageModelConfig(run=Path("helper")),
        "length_reward": 0.5,
        "hot_words": HotWordsConfig(phrases=("a name",)),
        "patience": 2.0,
        "alignment": True,
        "spans": True,
        "samples": 3,
        "seed": 4,
        "temperature": 0.5,
        "top_k": 3,
        "top_p": 0.5,
        "min_p": 0.1,
        "epsilon": 0.1,
    },
    "limits": {"unit": "words", "max_ratio": 0.5, "max_offset": 3, "max_length": 5, "min_length": 2, "min_ratio": 0.1},
    "processors": {
        "no_repeat_ngram_size": 3,
        "repetition_penalty": 1.2,
        "allow_unknown": False,
        "allow_suppressed": True,
        "forbidden": (7,),
        "forbidden_first": (8,),
    },
}
SETTINGS = [
    (kind, part, name)
    for kind in (GreedyConfig, BeamConfig, SamplingConfig)
    for part, owner in (("search", kind), ("limits", LimitsConfig), ("processors", ProcessorsConfig))
    for name in owner.__dataclass_fields__
    if name not in ("name", "limits", "processors", "alpha", "diversity")  # these two only beside others, which are said
]


@pytest.mark.parametrize(("kind", "part", "name"), SETTINGS)
def test_every_setting_is_written_or_said(kind: Any, part: str, name: str) -> None:
    """Whatever is changed, something is written otherwise, or one more sentence says that it is not."""
    spec = replace(SPEC, suppressed=(5,), suppressed_first=(6,))
    search = kind() if kind is not BeamConfig else BeamConfig(beam_size=4)
    value = CHANGES[part][name]
    search = replace(search, length_penalty="power") if kind is BeamConfig and name == "length_reward" else search
    changed = replace(search, **({name: value} if part == "search" else {part: replace(getattr(search, part), **{name: value})}))
    before, after = (generation_settings(plain(one), spec, (), 10) for one in (search, changed))
    assert before[0] != after[0] or f"`search.{'' if part == 'search' else part + '.'}{name}" in " ".join(set(after[1]) - set(before[1]))


def test_an_exponent_of_the_length_is_theirs() -> None:
    found, lost = settings(BeamConfig(length_penalty="power", alpha=2.0, limits=FIXED))
    assert (found["length_penalty"], lost) == (2.0, [])
    assert settings(BeamConfig(length_penalty="power"))[0]["length_penalty"] == 0.6


@pytest.mark.parametrize(
    ("search", "spec", "said"),
    [
        (GreedyConfig, SPEC, []),
        (GreedyConfig, SAME, ["is the end symbol, which it punishes from the first step on."]),
        (BeamConfig, SPEC, ["it changes log-probabilities of beams, where logits are changed here."]),
        (BeamConfig, SAME, ["it changes log-probabilities of beams, where logits are changed here, and the symbol that starts"]),
    ],
)
def test_a_repetition_penalty_is_not_quite_theirs(search: Any, spec: TokenSpec, said: list[str]) -> None:
    config = search(limits=FIXED, processors=ProcessorsConfig(repetition_penalty=1.2))
    lost = generation_settings(plain(config), spec, (), 10)[1]
    assert len(lost) == len(said)
    for sentence, part in zip(lost, said, strict=True):
        assert sentence.startswith("`search.processors.repetition_penalty: 1.2`: `generate` does otherwise: ")
        assert part in sentence


def test_a_minimum_is_counted_alike() -> None:
    config = GreedyConfig(limits=LimitsConfig(max_ratio=0, max_offset=4, min_length=6))
    found, lost = settings(config)
    assert (found["min_new_tokens"], found["max_new_tokens"], lost) == (6, 7, [])


def test_a_limit_of_words_is_one_of_symbols() -> None:
    found, lost = settings(GreedyConfig(limits=LimitsConfig(unit="words", max_length=5)))
    assert found["max_new_tokens"] == 61
    assert "`search.limits.unit: words`: `generate` counts symbols, of which every output may have 61." in lost

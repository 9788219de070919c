"""Which settings of `generate` stand for our searches."""

from typing import Any

import pytest

from antiphon.contracts.configuration import plain
from antiphon.contracts.specs import TokenSpec
from antiphon.exporters.generation import generation_settings
from antiphon.search.beam import BeamConfig
from antiphon.search.greedy import GreedyConfig
from antiphon.search.limits import LimitsConfig
from antiphon.search.mbr import plugin as mbr
from antiphon.search.processors import ProcessorsConfig
from antiphon.search.sampling import SamplingConfig

SPEC = TokenSpec(size=11, pad=0, unknown=1, start=2, end=3)


def settings(search: Any, opening: tuple[int, ...] = (), longest: int | None = 10, **more: Any) -> tuple[dict[str, Any], list[str]]:
    return generation_settings(plain(search), SPEC, opening, longest, **more)


def test_greedy() -> None:
    found, lost = settings(GreedyConfig(processors=ProcessorsConfig(allow_unknown=False, no_repeat_ngram_size=2)), opening=(7,))
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
    found, lost = settings(BeamConfig(beam_size=4, length_penalty="none"))
    assert not lost
    assert (found["num_beams"], found["early_stopping"], found["length_penalty"]) == (4, True, 0.0)
    assert settings(BeamConfig(beam_size=1))[0]["num_beams"] == 1
    _, lost = settings(BeamConfig(length_penalty="gnmt", coverage_penalty=0.2, limits=LimitsConfig(min_ratio=0.5)))
    assert [sentence.split("`")[1].split(":")[0] for sentence in lost] == [
        "search.length_penalty",
        "search.coverage_penalty",
        "search.limits.min_ratio",
    ]


def test_what_is_random_or_unknown_is_said() -> None:
    found, lost = settings(SamplingConfig(temperature=0.7, top_k=5))
    assert (found["do_sample"], found["temperature"], found["top_k"]) == (True, 0.7, 5)
    assert "other random numbers" in lost[0]
    found, lost = settings(mbr.Config())
    assert found["num_beams"] == 5
    assert "`search.name: mbr` has no counterpart" in lost[0]

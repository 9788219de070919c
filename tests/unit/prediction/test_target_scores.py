"""Scores of given targets: of texts with words aligned, of series in the units of the data."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import antiphon
from antiphon.contracts.asking import items_of
from antiphon.contracts.sequences import pad
from antiphon.errors import ConfigError, DataError
from antiphon.prediction import target_scores
from antiphon.prediction.predictor import Predictor
from antiphon.prediction.word_alignment import AlignmentErrors, pharaoh, word_links

ROWS = [{"source": f"ab c{number}", "target": f"c{number} ab", "kept": number} for number in range(10)]


def trained(folder: Path, model: Mapping[str, Any], *, limited: bool = True, **task: Any) -> Predictor:
    recipe = {
        "task": {"name": "translation", "vocabulary": {"kind": "character"}, **task},
        "data": {"limits": {"max_source_length": 6, "too_long": "truncate"} if limited else {}},
        "model": model,
        "training": {"max_steps": 1, "device": "cpu", "samples": 0},
        "evaluation": {"batch_size": 3},
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    data = {"train": ROWS, "validation": ROWS[:2]}
    return antiphon.load(antiphon.train(folder / "recipe.yaml", folder / "run", data=data), device="cpu")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return trained(tmp_path_factory.mktemp("scores"), {"name": "lstm", "dim": 8})


def test_scores_are_those_of_the_loss(model: Predictor) -> None:
    found = model.score(ROWS)
    assert [one.value for one in found] == [row["target"] for row in ROWS], "in their order"
    for row, one in zip(ROWS, found, strict=True):
        example = model.task.encode(row)
        assert example.target is not None
        with torch.inference_mode():
            values = model.model(pad([example.source[:6]]), pad([example.target[:-1]])).values
        labels = torch.from_numpy(example.target[1:])
        expected = -torch.nn.functional.cross_entropy(values[0], labels, reduction="none")
        assert one.hypothesis.step_scores == pytest.approx(expected.tolist(), abs=1e-5)
        assert one.hypothesis.log_prob == pytest.approx(float(expected.sum()), abs=1e-4)
        assert one.hypothesis.score == pytest.approx(float(expected.mean()), abs=1e-5)
        assert one.details["target_pieces"] == model.task.pieces("target", labels.numpy())
    assert model.score(ROWS[3]).hypothesis.log_prob == pytest.approx(found[3].hypothesis.log_prob, abs=1e-5)


def test_an_iterator_is_answered_lazily(model: Predictor) -> None:
    def endless() -> Iterator[dict[str, Any]]:
        while True:
            yield from ROWS

    assert next(model.score(endless())).value == ROWS[0]["target"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"source": "ab"}, "it has no target that could be scored."),
        ({"source": "ab", "target": None}, "`target` must be a text, but is null"),
        ({"source": "ab", "target": " "}, "the target is empty."),
        ({"source": "", "target": "a"}, "the source is empty."),
        ("ab", "it must be a record with the columns source, target, but is str."),
    ],
)
def test_records_that_cannot_be_used(model: Predictor, record: Any, reason: str) -> None:
    rows = [ROWS[0], record, ROWS[1]]
    with pytest.raises(DataError, match=f"Input 2: {reason}"):
        model.score(rows)
    kept = model.score(rows, on_error="keep")
    assert reason in kept[1].details["error"]
    assert [one.value for one in (kept[0], kept[2])] == [ROWS[0]["target"], ROWS[1]["target"]]


def test_words_are_aligned_by_attention(model: Predictor) -> None:
    one = model.score({"source": "ab c", "target": "c ab"}, alignment=True)
    attention = one.hypothesis.alignment
    assert attention is not None
    looked = [[attention[row, column].sum() for column in (slice(0, 2), slice(2, 4))] for row in (slice(0, 1), slice(1, 4))]
    expected = " ".join(f"{int(np.argmax(weights))}-{word}" for word, weights in enumerate(looked))
    assert one.details["word_alignment"] == expected


def test_words_of_a_source_that_is_cut(model: Predictor) -> None:
    one = model.score({"source": "ab cdefgh ij kl", "target": "ab"}, alignment=True)
    assert one.details["source_cut"] == 10
    assert one.details["word_alignment"] in ("0-0", "1-0")


def test_no_words_without_texts_or_attention(tmp_path: Path) -> None:
    without = trained(tmp_path, {"name": "lstm", "dim": 8, "attention": "none"})
    with pytest.raises(ConfigError, match="Word alignments need a model with attention"):
        without.score(ROWS, alignment=True)


def test_what_does_not_fit_in_memory_is_scored_in_halves(model: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, real = model.score(ROWS), target_scores.score

    def narrow(network: Any, source: Any, targets: Any, **options: Any) -> Any:
        if len(targets) > 1:
            raise torch.OutOfMemoryError("no room")
        return real(network, source, targets, **options)

    monkeypatch.setattr(target_scores, "score", narrow)
    found = model.score(ROWS)
    assert [one.hypothesis.log_prob for one in found] == pytest.approx([one.hypothesis.log_prob for one in expected], abs=1e-4)


def test_sentences_of_documents_are_scored_by_themselves(tmp_path: Path) -> None:
    model = trained(
        tmp_path, {"name": "lstm", "dim": 8}, vocabulary={"kind": "word"}, context={"sentences": 1, "of": "both"}, limited=False
    )
    rows = [{"source": "ab c1", "target": "c1 ab"}, {"source": "c2 ab", "target": "ab"}]
    first, second = model.score(rows, alignment=True)
    assert [len(one.hypothesis.step_scores) for one in (first, second)] == [3, 2], "what was said before is given"
    assert second.details["target_pieces"][-1] == "</s>"
    assert second.details["word_alignment"] in ("0-0", "1-0")
    alone = model.score(rows[1])
    assert alone.hypothesis.log_prob != pytest.approx(second.hypothesis.log_prob, abs=1e-6), "the context counts"


def test_links_of_words() -> None:
    attention = np.array([[0.3, 0.4, 0.3], [0.1, 0.2, 0.7], [0.0, 0.2, 0.8]])
    links = word_links(attention, np.array([0, 1, -1]), np.array([0, 0, 1]))
    assert links == ((1, 0), (1, 1)), "the end of the source is no word"
    assert pharaoh(links) == "1-0 1-1"
    assert word_links(attention[:0], np.array([0, 1, -1]), np.array([], dtype=np.int64)) == ()


def test_alignment_errors_by_hand() -> None:
    errors = AlignmentErrors()
    assert errors.rate is None
    errors.add("0-0 1-1", "0-0 1-2 2-1")
    assert errors.rate == pytest.approx(1 - 2 / 5)
    errors.add("0-0", "0-0")
    assert errors.rate == pytest.approx(1 - 4 / 7)


# ------------------------------------------------------------------------------------------------------------------- series


def forecaster(folder: Path, head: str, **task: Any) -> Predictor:
    recipe = {
        "task": {"name": "forecasting", "horizon": 3, "context_length": 8, "season": 4, **task},
        "data": {"validation": 3},
        "model": {"name": "lstm", "dim": 8, "head": {"name": head}},
        "training": {"max_steps": 1, "device": "cpu", "samples": 0},
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    return antiphon.load(antiphon.train(folder / "recipe.yaml", folder / "run", data={"train": series()}), device="cpu")


def series(factor: float = 1.0) -> list[dict[str, Any]]:
    values = [3 + math.sin(step) + 0.01 * step for step in range(30)]
    return [{"unique_id": "a", "ds": step, "y": factor * value} for step, value in enumerate(values)]


@pytest.mark.parametrize("name", ["none", "log", "log1p", "box_cox"])
def test_densities_are_in_the_units_of_the_data(name: str, tmp_path: Path) -> None:
    transform = {"name": name} | ({"power": 0.5} if name == "box_cox" else {})
    model = forecaster(tmp_path, "gaussian", transform=transform)
    (one,) = model.score(series())
    (item,) = items_of(model.task, series(), scored=True)
    example = model.task.encode(item)
    assert example.target is not None
    with torch.inference_mode():
        said = model.model(pad([example.source]), pad([example.target[:-1]])).values
    encoder, scale = model.task.encoder, example.context.scale  # type: ignore[attr-defined]
    for step in range(3):
        # The probability of a small interval around the value, in both units.
        value = encoder.restore(example.target[1:4, :1], scale)[step, 0]
        ends = scale.apply(encoder.transformed(np.full((3, 1), value) + np.array([[-1e-4], [0.0], [1e-4]])))[:, 0]
        below, above = (said.cdf(torch.full((1, 3, 1), float(end), dtype=torch.float64))[0, step, 0].item() for end in (ends[0], ends[2]))
        assert one.hypothesis.step_scores[step] == pytest.approx(math.log((above - below) / 2e-4), abs=1e-2)
    assert one.hypothesis.log_prob == pytest.approx(sum(one.hypothesis.step_scores))


def test_a_density_shrinks_as_the_unit_grows(tmp_path: Path) -> None:
    model = forecaster(tmp_path, "student_t")
    (small,), (large,) = model.score(series()), model.score(series(100.0))
    assert small.hypothesis.log_prob - large.hypothesis.log_prob == pytest.approx(3 * math.log(100), abs=1e-3)


def test_points_have_no_density(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Scoring needs a `model\.head` that is a distribution"):
        forecaster(tmp_path, "point").score(series())

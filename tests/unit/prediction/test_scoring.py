"""Loss and metrics over a set of records: the same from any number of processes, and with any amount of memory."""

import math
from functools import partial

import pytest
import torch

from antiphon.contracts.specs import ValueSpec
from antiphon.data.batching import BatchingConfig
from antiphon.errors import AntiphonError, DataError, TrainingError
from antiphon.losses.cross_entropy import CrossEntropy
from antiphon.metrics.scoring import evaluate
from antiphon.prediction.decoding import decode_examples
from antiphon.prediction.scoring import batches_of, decode_and_score, group_references, loss_scores, mean_loss
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.limits import LimitsConfig
from antiphon.training.decoder_inputs import TeacherForcingConfig
from tests.unit.prediction.scored_toys import ALONE, Narrow, encode, on_ranks, toy_corpus, toy_records, toy_task

SEARCH = GreedySearch(GreedyConfig(limits=LimitsConfig(max_length=6)))
METRICS = ["exact_match", "chrf"]


def loss_of(model, records, ranks=ALONE, say=print):
    batches = batches_of(toy_corpus(records), toy_task(model), BatchingConfig(target_tokens=40), ranks)
    return mean_loss(model, CrossEntropy(), batches, ranks, inputs=TeacherForcingConfig(), say=say)


def predict(model, records, size=8, say=print):
    examples = [encode({"source": record["source"]}, number) for number, record in enumerate(records)]
    return decode_examples(model, SEARCH, toy_task(model), examples, batch_size=size, device=ALONE.device, say=say)


def texts(predictions):
    return [prediction.value for prediction in predictions]


def test_a_loss_is_the_mean_over_all_elements() -> None:
    model, records = Narrow(), toy_records(20)
    total = count = 0.0
    for record in records:
        total += loss_of(model, [record]) * (len(record["target"].split()) + 1)
        count += len(record["target"].split()) + 1
    assert loss_of(model, records) == pytest.approx(total / count, rel=1e-5)


def test_the_loss_of_nothing_is_no_number() -> None:
    """0 would be better than every other loss."""
    model = Narrow()
    assert math.isnan(mean_loss(model, CrossEntropy(), [], ALONE, inputs=TeacherForcingConfig()))
    assert [score.name for score in loss_scores(1.0, toy_task(model))] == ["loss", "perplexity"]
    task = toy_task(model)
    task.target_spec = ValueSpec(1)
    assert [score.name for score in loss_scores(1.0, task)] == ["loss"]


@pytest.mark.parametrize("most", [1, 3])
def test_what_does_not_fit_is_measured_in_halves(most: int) -> None:
    model, records, said = Narrow(), toy_records(20), []
    whole = loss_of(model, records)
    model.most = most
    assert loss_of(model, records, say=said.append) == pytest.approx(whole, rel=1e-5)
    assert len(said) == 1, "one sentence, however many batches are halved"
    assert "Out of memory" in said[0]


def test_what_does_not_fit_is_decoded_in_halves() -> None:
    model, records, said = Narrow(), toy_records(20), []
    whole = texts(predict(model, records))
    model.most, model.rows = 3, []
    assert texts(predict(model, records, say=said.append)) == whole
    assert model.rows[:4] == [8, 4, 2, 2], "and what comes after does not try again what does not fit"
    assert said == [
        "Out of memory: 8 records do not fit when they are decoded together, so now 4 are (`evaluation.batch_size`).",
        "Out of memory: 4 records do not fit when they are decoded together, so now 2 are (`evaluation.batch_size`).",
    ]


def test_a_record_that_alone_does_not_fit_is_named() -> None:
    model, records = Narrow(), [*toy_records(3), {"source": "4 4 4 4 4 4 4", "target": "5 5 5 5 5 5 5"}]
    model.most = 0
    with pytest.raises(TrainingError, match=r"record 3, with 7 source and 8 target steps. Limit lengths"):
        loss_of(model, records)
    with pytest.raises(TrainingError, match=r"record 3, with 7 source steps"):
        predict(model, records)


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    model = Narrow()
    model.encode = lambda _: 1 / 0
    with pytest.raises(ZeroDivisionError):
        loss_of(model, toy_records(3))
    model.encode = lambda _: torch.zeros(2) @ torch.zeros(3)
    with pytest.raises(RuntimeError, match="size"):
        predict(model, toy_records(3))


@pytest.mark.parametrize("count", [20, 2, 1])
@pytest.mark.parametrize("world", [2, 3])
def test_scores_do_not_depend_on_the_number_of_processes(count: int, world: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, records = Narrow(), toy_records(count)
    task = toy_task(model)
    items = group_references(task, records, alternatives=False)

    def work(ranks):
        mine = items[ranks.rank :: ranks.world]
        decoded = decode_and_score(partial(predict, model), task, mine, METRICS, ranks, resamples=20)
        return loss_of(model, records, ranks), decoded

    loss, alone = work(ALONE)
    assert alone.scores == evaluate(METRICS, texts(predict(model, records)), [found for _, found in items], resamples=20)
    for other_loss, other in on_ranks(world, work, monkeypatch):
        assert other_loss == pytest.approx(loss, rel=1e-6)
        assert (other.scores, other.shown, other.finish_reasons) == (alone.scores, alone.shown, alone.finish_reasons)
    assert [shown[0] for shown in alone.shown] == [record["source"] for record in records]


def test_each_process_has_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    model, records = Narrow(), toy_records(21)
    task = toy_task(model)
    items = group_references(task, records, alternatives=False)

    def work(ranks):
        asked = []

        def counting(some):
            asked.extend(some)
            return predict(model, some)

        found = decode_and_score(counting, task, items[ranks.rank :: 2], METRICS, ranks)
        return len(asked), len(found.predictions)

    assert on_ranks(2, work, monkeypatch) == [(11, 11), (10, 10)]


def test_what_one_process_cannot_decode_fails_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the others would wait for it, or think better of the model."""
    model, records = Narrow(), toy_records(4)
    task = toy_task(model)
    items = group_references(task, records, alternatives=False)

    def work(ranks):
        def failing(some):
            if ranks.rank == 1:
                raise DataError("nothing can be said")
            return predict(model, some)

        return decode_and_score(failing, task, items[ranks.rank :: 2], METRICS, ranks)

    one, two = on_ranks(2, work, monkeypatch)
    assert isinstance(one, AntiphonError)
    assert "Another process" in str(one)
    assert isinstance(two, DataError)


def test_values_travel_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [[0.1 + 0.2, math.inf], {"text": "früh \ud800 \x00", "none": None}, []]
    for found in on_ranks(3, lambda ranks: ranks.gather_plain(values[ranks.rank]), monkeypatch):
        assert found == values

"""The loop: budgets, validations, the best checkpoint, patience, divergence, averages, resuming."""

import json
import os
import signal
from functools import partial

import numpy as np
import pytest
import torch

from antiphon.contracts.loss import LossSum
from antiphon.contracts.sequences import Batch, Example, Padded
from antiphon.contracts.specs import TokenSpec
from antiphon.data.batching import BatchingConfig, Sampler
from antiphon.data.collate import collate
from antiphon.data.loader import Loader
from antiphon.data.mapped import MemoryCorpus
from antiphon.errors import CheckpointError, TrainingError
from antiphon.losses.cross_entropy import CrossEntropy
from antiphon.metrics.interface import Score
from antiphon.store import checkpoint
from antiphon.training.decoder_inputs import TeacherForcingConfig
from antiphon.training.distributed import Ranks
from antiphon.training.optimizers import AdafactorConfig, AdamWConfig, SGDConfig, build_optimizer
from antiphon.training.results import read
from antiphon.training.schedules import ConstantConfig
from antiphon.training.settings import TrainingConfig
from antiphon.training.state import OPTIMIZER
from antiphon.training.step import Update
from antiphon.training.stopping import Stopped
from antiphon.training.trainer import Trainer
from tests.conformance.variants import Variant, fresh

RANKS = Ranks(0, 1, torch.device("cpu"))
EPOCH = 4


class Batches:
    """Four batches per epoch, made from (epoch, number) alone."""

    def batches(self, epoch, start=0):
        for number in range(start, EPOCH):
            generator = torch.Generator().manual_seed(100 * epoch + number)
            values = torch.randint(4, 11, (3, 5), generator=generator)
            side = Padded(values, torch.tensor([5, 2, 4]))
            yield Batch(side, side, tuple(3 * number + row for row in range(3)))

    def estimate(self):
        return EPOCH


class Scores:
    """Validation scores given in advance; remembers the weights that it was asked to score."""

    def __init__(self, values=()):
        self.values, self.seen = list(values), []

    def __call__(self, model):
        assert not model.training
        self.seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        value = self.values.pop(0) if self.values else 1.0
        return [Score("loss", value, "given", higher_is_better=False)], [("source", "reference", "prediction")]


class Log:
    """Keeps the events."""

    def __init__(self):
        self.events = []

    def log(self, event):
        self.events.append(event)

    def close(self):
        pass

    def of(self, kind):
        return [event for event in self.events if event["kind"] == kind]


UNSMOOTHED = CrossEntropy()


def make(folder, seed, *, loss=UNSMOOTHED, scores=(), **settings):
    """A trainer of a tiny model."""
    config = TrainingConfig(**{"schedule": ConstantConfig(), "optimizer": AdamWConfig(learning_rate=0.01), **settings})
    model = fresh(Variant("lstm", "default"), seed, dropout=0.3)
    update = Update.of(
        model,
        loss,
        build_optimizer(config.optimizer, model),
        RANKS,
        inputs=TeacherForcingConfig(),
        clip_norm=1.0,
        precision="fp32",
        seed=seed,
    )
    log = Log()
    trainer = Trainer(
        model,
        update,
        Batches(),
        Scores(scores),
        config,
        RANKS,
        folder=folder,
        header={"version": "test"},
        save_features=lambda place: (place / "note.txt").write_text("fitted"),
        loggers=[log],
    )
    return trainer, log


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_budgets_end_training(tmp_path, seed):
    for number, (settings, steps, message) in enumerate(
        [
            ({"max_steps": 6}, 6, "6 steps done"),
            ({"max_epochs": 1.5}, 6, "1.5 epochs done"),
            ({"max_steps": 3, "max_epochs": 2}, 3, "3 steps"),
        ]
    ):
        trainer, log = make(tmp_path / str(number), seed, **settings)
        trainer.run()
        assert trainer.progress.step == steps
        assert message in log.of("end")[0]["message"]
    trainer.run()
    assert trainer.progress.step == 3, "a finished run stays as it is"
    assert log.of("end")[-1] == log.of("end")[0]


def test_no_steps_score_and_save_what_the_run_begins_with(tmp_path, seed):
    trainer, log = make(tmp_path, seed, max_steps=0, ema_decay=0.9)
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    trainer.run()
    assert [event["kind"] for event in log.events] == ["validation", "sample", "end"]
    assert log.of("end")[0]["message"].startswith("Done: 0 steps done. Best loss: 1.000 at step 0")
    assert same(checkpoint.read((tmp_path / "best").resolve()).weights(), before)

    again, log = make(tmp_path, seed, max_steps=0, ema_decay=0.9)
    again.resume(checkpoint.read((tmp_path / "last").resolve()))
    again.run()
    assert not log.of("validation"), "a finished run stays as it is"
    resumed, _ = make(tmp_path, seed, max_steps=5, ema_decay=0.9)
    resumed.resume(checkpoint.read((tmp_path / "last").resolve()))
    resumed.run()
    straight, _ = make(tmp_path / "straight", seed, max_steps=5, ema_decay=0.9)
    straight.run()
    assert same(resumed.model.state_dict(), straight.model.state_dict()), "as if it had been trained at once"


def test_validations_best_and_patience(tmp_path, seed):
    trainer, log = make(tmp_path, seed, max_steps=100, validate_every=2, patience=2, keep=1, scores=[3.0, 2.0, 2.5, 2.0, 1.0])
    trainer.run()
    assert trainer.progress.step == 8, "a score as good as the best is no better"
    assert (trainer.progress.best_step, trainer.progress.best_score) == (4, 2.0)
    assert [event["best"] for event in log.of("validation")] == [True, True, False, False]
    assert checkpoint.read((tmp_path / "best").resolve()).header["step"] == 4
    assert checkpoint.read((tmp_path / "last").resolve()).header["step"] == 8
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-4", "step-8"], "the best is kept besides the last"
    assert (tmp_path / "best" / "features" / "note.txt").read_text() == "fitted"
    assert same(checkpoint.read((tmp_path / "best").resolve()).weights(), trainer.selection.evaluate.seen[1])
    assert len(log.of("sample")) == 4


def not_a_number_from(output, labels, weights, calls, first):
    calls.append(1)
    found = CrossEntropy()(output, labels, weights)
    if len(calls) < first:
        return found
    spoil = torch.zeros_like(found.rows)
    spoil[1] = float("nan")
    return found + LossSum(spoil.sum(), spoil)


def test_a_run_that_diverges_ends_and_names_the_records(tmp_path, seed):
    loss = partial(not_a_number_from, calls=[], first=4)
    trainer, log = make(tmp_path, seed, loss=loss, max_steps=50, nonfinite_patience=3, save_every=3, validate_every=50)
    with pytest.raises(
        TrainingError, match=r"diverged: loss or gradient was not finite 3 times in a row, last at step 6 \(loss nan, records 4\)"
    ):
        trainer.run()
    assert [event["records"] for event in log.of("skipped")] == [[10], [1], [4]]
    assert trainer.progress.skipped == 3
    saved = checkpoint.read((tmp_path / "last").resolve())
    assert saved.header["step"] == 3
    assert all(bool(tensor.isfinite().all()) for tensor in saved.weights().values())


def test_one_bad_update_does_not_end_a_run(tmp_path, seed):
    calls = []

    def once(output, labels, weights):
        calls.append(1)
        return CrossEntropy()(output, labels, weights) * (float("nan") if len(calls) in (2, 4) else 1.0)

    trainer, log = make(tmp_path, seed, loss=once, max_steps=6, nonfinite_patience=2)
    trainer.run()
    assert trainer.progress.skipped == len(log.of("skipped")) == 2
    assert trainer.progress.skipped_in_a_row == 0


@pytest.mark.parametrize("ema", [None, 0.8])
def test_a_resumed_run_ends_with_the_same_weights(tmp_path, ema, seed):
    settings = {"max_steps": 10, "save_every": 3, "ema_decay": ema, "keep": 9}
    whole, _ = make(tmp_path / "whole", seed, **settings)
    whole.run()
    for stop in (3, 6):  # in the middle of an epoch
        resumed, _ = make(tmp_path / "whole", seed + 1, **settings)
        resumed.checkpoints.folder = tmp_path / f"resumed-{stop}"
        saved = checkpoint.read(tmp_path / "whole" / "checkpoints" / f"step-{stop}")
        (resumed.checkpoints.folder / "checkpoints").mkdir(parents=True)
        resumed.update.gradients.seed = seed
        resumed.resume(saved)
        assert resumed.progress.step == stop
        resumed.run()
        assert same(resumed.model.state_dict(), whole.model.state_dict()), "not a bit may differ"
        found, expected = (checkpoint.read((t.checkpoints.folder / "last").resolve()).weights() for t in (resumed, whole))
        assert same(found, expected)


def test_a_checkpoint_without_training_state_cannot_be_resumed(tmp_path, seed):
    trainer, _ = make(tmp_path, seed, max_steps=2)
    checkpoint.write(tmp_path / "bare", {}, trainer.model.state_dict())
    with pytest.raises(CheckpointError, match=r"cannot be resumed: it holds no training state\. Use `training\.init_from`"):
        trainer.resume(checkpoint.read(tmp_path / "bare"))


def test_the_moving_average_is_what_is_scored_and_saved_and_training_goes_on_without_it(tmp_path, seed):
    plain, _ = make(tmp_path / "plain", seed, max_steps=6)
    plain.run()
    averaged, _ = make(tmp_path / "averaged", seed, max_steps=6, ema_decay=0.9)
    averaged.run()
    assert same(averaged.model.state_dict(), plain.model.state_dict()), "the average must not disturb training"
    scored = averaged.selection.evaluate.seen[-1]
    assert not same(scored, plain.model.state_dict())
    assert same(checkpoint.read((tmp_path / "averaged" / "last").resolve()).weights(), scored)
    assert same(averaged.average.tensors, scored)


@pytest.mark.parametrize(("score", "better"), [(0.5, True), (5.0, False)])
def test_the_mean_of_the_last_checkpoints_is_kept_when_it_is_better(tmp_path, score, better, seed):
    trainer, log = make(tmp_path, seed, max_steps=6, validate_every=2, keep=3, average=3, scores=[3.0, 2.0, 1.0, score])
    trainer.run()
    steps = [checkpoint.read(tmp_path / "checkpoints" / f"step-{step}").weights() for step in (2, 4, 6)]
    best = checkpoint.read((tmp_path / "best").resolve())
    assert (tmp_path / "best").resolve().name == ("average" if better else "step-6")
    if better:
        for name, tensor in best.weights().items():
            torch.testing.assert_close(tensor, torch.stack([weights[name] for weights in steps]).mean(0))
        assert best.header["averaged"] == [2, 4, 6]
    assert same(trainer.model.state_dict(), steps[-1]), "the model keeps its own weights"
    assert log.of("average")[0]["best"] is better


def test_progress_is_plain_numbers(tmp_path, seed):
    trainer, _ = make(tmp_path, seed, max_steps=5)
    trainer.run()
    state = json.loads((tmp_path / "last" / "training" / "progress.json").read_text())
    assert (state["step"], state["epoch"], state["batch"]) == (5, 1, 1)


def test_accumulation_takes_several_batches_for_one_update(tmp_path, seed):
    trainer, _ = make(tmp_path, seed, max_steps=4, accumulation=3)
    trainer.run()
    assert trainer.progress.step == 4
    assert (trainer.progress.epoch, trainer.progress.batch) == (3, 0)


class Empty:
    """Training data without a record."""

    def batches(self, epoch, start=0):
        return iter(())

    def estimate(self):
        return 0


def test_no_data_is_an_error(tmp_path, seed):
    trainer, _ = make(tmp_path, seed, max_steps=4)
    trainer.batches = Empty()
    with pytest.raises(TrainingError, match="There is nothing to train on"):
        trainer.run()


class Pools:
    """Batches of several pools, of which the estimate knows too little; remembers the records that were learned from."""

    def __init__(self):
        lengths = np.array([3, 3, 3, 3, 3, 3, 3, 3, 9, 9, 9, 9, 9, 9, 9, 9])
        examples = [Example(np.full(length, 5), np.full(length, 6), row) for row, length in enumerate(lengths)]
        corpus = MemoryCorpus(examples)
        self.sampler = Sampler(corpus, BatchingConfig(target_tokens=12, pool_size=2, shuffle=False), 0)
        spec = TokenSpec(size=11, pad=0, unknown=1, start=2, end=3)
        self.loader = Loader(corpus, self.sampler, partial(collate, source=spec, target=spec), seed=0)
        self.seen = []

    def batches(self, epoch, start=0):
        for batch in self.loader.batches(epoch, start):
            self.seen.extend(batch.records)
            yield batch

    def estimate(self):
        return self.sampler.estimate_batches()


@pytest.mark.parametrize("epochs", [1, 2.0])
def test_a_budget_of_whole_epochs_shows_every_record(tmp_path, seed, epochs):
    trainer, log = make(tmp_path, seed, max_epochs=epochs, log_every=1)
    trainer.batches = batches = Pools()
    trainer.budget.estimate = batches.estimate
    exact = sum(1 for _ in batches.sampler.batches(0))
    assert batches.estimate() < exact, "the case that matters: there are more batches than the first pools promise"
    trainer.run()
    assert trainer.progress.step == epochs * exact
    assert (trainer.progress.epoch, trainer.progress.batch) == (epochs, 0)
    assert sorted(batches.seen[: 16 * int(epochs)]) == sorted([*range(16)] * int(epochs))
    shown = [event["epoch"] for event in log.of("train")]
    assert shown == sorted(shown), "the log does not count backwards at the end of an epoch"


class SignalAt:
    """Scores as `Scores` does, but sends this process a signal in the middle of validation number `number`, and goes on as if deaf."""

    def __init__(self, number, values=()):
        self.inner, self.number = Scores(values), number

    def __call__(self, model):
        if len(self.inner.seen) == self.number - 1:
            self.number = 0
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):
                pass
        return self.inner(model)


def as_it_happened(log):
    """Events without what depends on the clock."""
    clock = ("seconds", "elements_per_second", "seconds_left")
    return [{key: value for key, value in event.items() if key not in clock} for event in log.events]


def state_of(folder):
    """Weights, links and names of a run's checkpoints."""
    names = sorted(path.name for path in (folder / "checkpoints").iterdir())
    last = checkpoint.read((folder / "last").resolve())
    kept = json.loads((last.training / "progress.json").read_text())["kept"]
    return names, last.folder.name, (folder / "best").resolve().name, kept, last.header["scores"], last.weights()


def assert_same_run(one, other):
    *facts, weights = state_of(one)
    *other_facts, other_weights = state_of(other)
    assert facts == other_facts
    assert same(weights, other_weights)


SCORES = [3.0, 2.0, 2.5, 1.5, 1.7, 1.0]


@pytest.mark.parametrize("ema", [None, 0.8])
def test_a_stop_within_a_validation_loses_nothing_and_a_resumed_run_repeats_it(tmp_path, ema, seed):
    settings = {"max_steps": 10, "validate_every": 2, "ema_decay": ema, "average": 2, "keep": 2, "log_every": 3}
    whole, expected = make(tmp_path / "whole", seed, scores=SCORES, **settings)
    whole.run()
    lines = []
    parts, before = make(tmp_path / "parts", seed, **settings)
    parts.selection.evaluate, parts.stop.say = SignalAt(2, SCORES), lines.append
    with pytest.raises(Stopped, match="SIGINT"):
        parts.run()
    assert lines == ["stopping now; a resumed run repeats this validation"]
    saved = checkpoint.read((tmp_path / "parts" / "last").resolve())
    assert (saved.header["step"], saved.header["scores"]) == (4, {}), "the step whose validation was stopped, without another one's scores"
    assert [event["step"] for event in before.of("validation")] == [2]

    resumed, after = make(tmp_path / "parts", seed, scores=SCORES[1:], **settings)
    resumed.resume(saved)
    resumed.run()
    assert_same_run(tmp_path / "parts", tmp_path / "whole")
    assert same(resumed.model.state_dict(), whole.model.state_dict())
    assert as_it_happened(before) + as_it_happened(after) == as_it_happened(expected)


def test_a_stop_in_the_last_update_ends_as_the_run_that_was_never_stopped(tmp_path, seed):
    settings = {"max_steps": 6, "validate_every": 2, "average": 3, "keep": 3}
    whole, expected = make(tmp_path / "whole", seed, scores=[3.0, 2.0, 1.0, 0.5], **settings)
    whole.run()
    parts, before = make(tmp_path / "parts", seed, scores=[3.0, 2.0, 1.0], **settings)
    begin = parts.update.begin

    def stopping(batches, step, factor, *scale):
        if step == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return begin(batches, step, factor, *scale)

    parts.update.begin = stopping
    with pytest.raises(Stopped, match="SIGTERM"):
        parts.run()
    resumed, after = make(tmp_path / "parts", seed, scores=[1.0, 0.5], **settings)
    resumed.resume(checkpoint.read((tmp_path / "parts" / "last").resolve()))
    resumed.run()
    assert_same_run(tmp_path / "parts", tmp_path / "whole")
    assert (tmp_path / "parts" / "best").resolve().name == "average"
    assert as_it_happened(before) + as_it_happened(after) == as_it_happened(expected)
    assert expected.of("end")[0]["message"] == "Done: 6 steps done. Best loss: 0.5000 at step 6."


def test_a_stop_while_the_average_is_scored_or_at_the_very_end_does_it_again(tmp_path, seed):
    settings = {"max_steps": 4, "validate_every": 2, "average": 2, "keep": 2}
    values = [3.0, 2.0, 1.0]
    whole, expected = make(tmp_path / "whole", seed, scores=values, **settings)
    whole.run()
    parts, _ = make(tmp_path / "parts", seed, **settings)
    parts.selection.evaluate = SignalAt(3, values)
    with pytest.raises(Stopped):
        parts.run()
    again, log = make(tmp_path / "parts", seed, scores=values[2:], **settings)
    again.conclude = lambda: os.kill(os.getpid(), signal.SIGTERM)
    again.resume(checkpoint.read((tmp_path / "parts" / "last").resolve()))
    with pytest.raises(Stopped):
        again.run()
    assert not log.of("end"), "what is done at the end comes before the end is logged"
    concluded = []
    resumed, log = make(tmp_path / "parts", seed, scores=values[2:], **settings)
    resumed.conclude = lambda: concluded.append(1)
    resumed.resume(checkpoint.read((tmp_path / "parts" / "last").resolve()))
    resumed.run()
    assert concluded == [1]
    assert_same_run(tmp_path / "parts", tmp_path / "whole")
    assert as_it_happened(log) == as_it_happened(expected)[-2:]


def test_checkpoints_by_time_serve_for_resuming_only(tmp_path, seed):
    settings = {"max_steps": 9, "validate_every": 4, "average": 2, "keep": 2}
    whole, _ = make(tmp_path / "whole", seed, scores=SCORES, save_minutes=None, **settings)
    whole.run()
    parts, log = make(tmp_path / "parts", seed, scores=SCORES, save_minutes=1e-9, **settings)

    def killed(event):
        log.events.append(event)
        if event["step"] == 7:
            raise RuntimeError("killed")

    log.log = killed
    parts.settings = parts.events.settings = TrainingConfig(**{**vars(parts.settings), "log_every": 1})
    with pytest.raises(RuntimeError, match="killed"):
        parts.run()
    saved = checkpoint.read((tmp_path / "parts" / "last").resolve())
    assert (saved.header["step"], saved.header["scores"]) == (6, {}), "an update is lost, not three"
    assert sorted(path.name for path in (tmp_path / "parts" / "checkpoints").iterdir()) == ["step-4", "step-6"]
    resumed, _ = make(tmp_path / "parts", seed, scores=SCORES[1:], save_minutes=1e-9, **settings)
    resumed.resume(saved)
    resumed.run()
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


def test_a_checkpoint_has_scores_only_of_its_own_step(tmp_path, seed):
    trainer, _ = make(tmp_path, seed, max_steps=5, validate_every=4, save_every=1, keep=9, scores=[3.0, 2.0])
    trainer.run()
    found = {step: checkpoint.read(tmp_path / "checkpoints" / f"step-{step}").header["scores"] for step in range(1, 6)}
    assert found == {1: {}, 2: {}, 3: {}, 4: {"loss": 3.0}, 5: {"loss": 2.0}}


class Coverage:
    """Coverages given in advance, best at 80; scores every second epoch, and says what it is asked at the end."""

    def __init__(self, values):
        self.values, self.asked = list(values), []

    def __call__(self, model):
        return [Score("coverage_80", self.values.pop(0), "given", None, target=80.0)], []

    def due(self, epoch):
        return epoch % 2 == 0

    def final(self, model, updates):
        self.asked.append(({name: tensor.clone() for name, tensor in model.state_dict().items()}, model.training, updates))
        return [Score("coverage_80", 81.0, "given", None, target=80.0)], "all records"


def test_the_best_is_what_is_nearest_to_its_target(tmp_path, seed):
    """100 % is not better than 82 % where 80 was promised."""
    trainer, log = make(tmp_path, seed, max_epochs=6.0, best="coverage_80")
    trainer.selection.evaluate = Coverage([70.0, 82.0, 100.0])
    trainer.run()
    assert [event["best"] for event in log.of("validation")] == [True, True, False]
    assert trainer.progress.best_score == 82.0


class WordErrors:
    """A word error rate and a loss, given in advance; remembers how many updates it was told to be between two validations."""

    def __init__(self, rates, losses):
        self.rates, self.losses, self.told = list(rates), list(losses), []

    def __call__(self, model):
        rate = Score("word_error_rate", self.rates.pop(0), "given", False, worthless=100.0)
        return [Score("loss", self.losses.pop(0), "given", higher_is_better=False), rate], []

    def planned(self, updates):
        self.told.append(updates)


@pytest.mark.parametrize(
    ("rates", "losses", "best"),
    [
        ([100.0, 100.0, 100.0], [3.0, 2.0, 2.5], [True, True, False]),  # nothing is right yet, and the loss decides
        ([100.0, 140.0, 120.0], [3.0, 2.0, 1.0], [True, True, True]),  # nor is one worthless score better than another
        ([90.0, 100.0, 90.0], [3.0, 2.0, 1.0], [True, False, True]),  # what is worthless never beats what is not; equal ones by the loss
        ([90.0, 90.0, 95.0], [1.0, 2.0, 0.5], [True, False, False]),
        ([110.0, 99.0, 50.0], [1.0, 2.0, 3.0], [True, True, True]),  # a score that says something decides alone
    ],
)
def test_equal_and_worthless_scores_leave_the_choice_to_the_loss(tmp_path, seed, rates, losses, best):
    trainer, log = make(tmp_path, seed, max_steps=6, validate_every=2, best="word_error_rate")
    trainer.selection.evaluate = WordErrors(rates, losses)
    trainer.run()
    assert [event["best"] for event in log.of("validation")] == best
    last = max(number for number, better in enumerate(best) if better)
    assert (trainer.progress.best_score, trainer.progress.best_loss) == (rates[last], losses[last])


def test_automatic_validations_are_ten_and_learn_how_many_updates_are_between(tmp_path, seed):
    trainer, log = make(tmp_path, seed, max_steps=30, validate_every="auto", best="word_error_rate")
    trainer.selection.evaluate = asked = WordErrors([50.0] * 10, map(float, range(10)))
    trainer.run()
    assert [event["step"] for event in log.of("validation")] == list(range(3, 31, 3))
    assert asked.told == [3] * 10
    assert trainer.progress.first_validation == 3, "a resumed run decodes the same records"


def test_the_best_is_scored_in_full_at_the_end_and_not_left_behind(tmp_path, seed):
    trainer, log = make(tmp_path, seed, max_epochs=6.0, best="coverage_80")
    trainer.selection.evaluate = asked = Coverage([80.0, 82.0, 100.0])
    trainer.run()
    assert [event["step"] for event in log.of("validation")] == [2 * EPOCH, 4 * EPOCH, 6 * EPOCH], "when the scores are due"
    ((weights, training, updates),) = asked.asked
    assert not training
    assert updates == 6 * EPOCH
    assert same(weights, checkpoint.read((tmp_path / "best").resolve()).weights())
    assert same(trainer.model.state_dict(), checkpoint.read((tmp_path / "last").resolve()).weights())
    (final,) = log.of("final")
    assert (final["of"], final["scores"]) == (2 * EPOCH, {"coverage_80": 81.0})
    assert final["message"] == "Best checkpoint, all records: coverage_80 81.00"


def spoiled_at(output, labels, weights, calls, bad):
    """Cross-entropy that is not a number at some calls."""
    calls.append(1)
    found = CrossEntropy()(output, labels, weights)
    spoil = torch.zeros_like(found.rows)
    spoil[1] = float("nan") if len(calls) in bad else 0.0
    return found + LossSum(spoil.sum(), spoil)


def run_reading(trainer, monkeypatch, *, at_once):
    """Run with results that are read after each update, or as on a GPU; returns how many were read at a time, and how the run failed."""
    counts, failure = [], None

    def counting(pending, ranks):
        counts.extend([len(pending)] * bool(pending))
        return read(pending, ranks)

    monkeypatch.setattr("antiphon.training.trainer.read", counting)
    trainer.at_once = at_once
    try:
        trainer.run()
    except (TrainingError, Stopped) as error:
        failure = error
    return counts, failure


def story(trainer, log):
    """All that came of a run, without what depends on the clock."""
    folder = trainer.checkpoints.folder
    saved = {path.name: checkpoint.read(path) for path in sorted((folder / "checkpoints").iterdir())}
    plain = {name: json.loads((one.training / "progress.json").read_text()) for name, one in saved.items()}
    for one in plain.values():
        one["seconds"] = one["window"]["since"] = 0
    tensors = [one.weights() for one in saved.values()]
    tensors += [checkpoint.read_tensors(one.training / OPTIMIZER) for one in saved.values()]
    facts = str((as_it_happened(log), plain, trainer.progress.skipped))  # as text, since NaN equals nothing
    return facts, [*tensors, trainer.model.state_dict(), trainer.average.tensors]


@pytest.mark.parametrize(
    "optimizer", [AdamWConfig(learning_rate=0.01), SGDConfig(momentum=0.5), AdafactorConfig()], ids=lambda one: one.name
)
def test_results_that_are_read_together_tell_the_same_story(tmp_path, optimizer, seed, monkeypatch):
    """A GPU is not waited for after each update: the log, checkpoints and weights are as if it had been."""
    settings = {"optimizer": optimizer, "max_steps": 23, "validate_every": 9, "save_every": 4, "ema_decay": 0.8, "log_every": 5, "keep": 9}
    found = []
    for at_once in (True, False):
        loss = partial(spoiled_at, calls=[], bad=(2, 7, 11, 12, 13))
        trainer, log = make(
            tmp_path / str(at_once), seed, loss=loss, scores=[3.0, 2.0, 1.0], nonfinite_patience=4, log_records=True, **settings
        )
        counts, failure = run_reading(trainer, monkeypatch, at_once=at_once)
        assert failure is None
        assert len(log.of("skipped")) == 5
        assert sum(counts) == 23
        found.append((*story(trainer, log), counts))
    (facts, tensors, singly), (other_facts, other_tensors, together) = found
    assert singly == [1] * 23
    assert together == [4, 1, 3, 1, 1, 2, 3, 1, 2, 2, 3], "before every checkpoint, validation and line of the log"
    assert facts == other_facts
    assert all(same(one, other) for one, other in zip(tensors, other_tensors, strict=True))


def test_results_are_read_once_for_a_line_of_the_log(tmp_path, seed, monkeypatch):
    trainer, log = make(tmp_path, seed, max_steps=24, log_every=6, validate_every=24)
    assert run_reading(trainer, monkeypatch, at_once=False) == ([6] * 4, None)
    assert [event["step"] for event in log.of("train")] == [6, 12, 18, 24]


def test_divergence_is_noticed_when_results_are_read_and_named_as_ever(tmp_path, seed, monkeypatch):
    found = []
    for at_once in (True, False):
        loss = partial(not_a_number_from, calls=[], first=7)
        settings = {"loss": loss, "max_steps": 50, "nonfinite_patience": 4, "save_every": 3, "validate_every": 50, "ema_decay": 0.8}
        trainer, log = make(tmp_path / str(at_once), seed, **settings)
        counts, failure = run_reading(trainer, monkeypatch, at_once=at_once)
        found.append((str(failure), story(trainer, log)[0]))
        assert sum(counts) - trainer.progress.step < 4
    assert found[0] == found[1]
    assert "not finite 4 times in a row, last at step 10" in found[0][0]


def test_a_stop_saves_what_updates_did_that_were_not_read(tmp_path, seed, monkeypatch):
    settings = {"max_steps": 11, "validate_every": 11, "ema_decay": 0.8, "log_every": 9, "nonfinite_patience": 9}
    bad = (3, 6)
    whole, expected = make(tmp_path / "whole", seed, loss=partial(spoiled_at, calls=[], bad=bad), **settings)
    whole.run()
    calls = []
    parts, before = make(tmp_path / "parts", seed, loss=partial(spoiled_at, calls=calls, bad=bad), **settings)
    begin = parts.update.begin

    def stopping(batches, step, factor, *scale):
        if step == 6:
            os.kill(os.getpid(), signal.SIGTERM)
        return begin(batches, step, factor, *scale)

    parts.update.begin = stopping
    counts, failure = run_reading(parts, monkeypatch, at_once=False)
    assert isinstance(failure, Stopped)
    assert counts == [7]
    saved = checkpoint.read((tmp_path / "parts" / "last").resolve())
    assert saved.header["step"] == 7
    resumed, after = make(tmp_path / "parts", seed, loss=partial(spoiled_at, calls=calls, bad=bad), **settings)
    resumed.resume(saved)
    run_reading(resumed, monkeypatch, at_once=False)
    assert_same_run(tmp_path / "parts", tmp_path / "whole")
    assert str(as_it_happened(before) + as_it_happened(after)) == str(as_it_happened(expected))

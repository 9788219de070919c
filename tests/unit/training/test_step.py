"""One update: the mean over all elements, out of memory, not finite, precision, random numbers."""

from functools import partial

import pytest
import torch

from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Batch, Padded
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import TrainingError
from antiphon.losses.cross_entropy import CrossEntropy
from antiphon.losses.summing import summed
from antiphon.models.lstm import LSTM
from antiphon.training.decoder_inputs import TeacherForcingConfig
from antiphon.training.distributed import Ranks
from antiphon.training.gradients import split
from antiphon.training.precision import autocast, precision_notes
from antiphon.training.seeds import seed_from
from antiphon.training.step import Update

SPEC = TokenSpec(size=9, pad=0, unknown=1, start=2, end=3)
LENGTHS = [(7, 9), (2, 3), (5, 2), (1, 6), (4, 4), (3, 8), (6, 2)]


def make_model(seed, name="lstm", **settings):
    plugin = registry.find("models", name)
    torch.manual_seed(seed)
    sizes = {"dim": 8, "dropout": 0.0} | ({"heads": 2, "feed_forward_dim": 8} if name == "transformer" else {})
    return plugin.build(plugin.Config(**{**sizes, **settings}), SPEC, SPEC).double()


def make_batch(seed):
    generator = torch.Generator().manual_seed(seed)
    sides = []
    for side in (0, 1):
        lengths = torch.tensor([pair[side] for pair in LENGTHS])
        values = torch.randint(4, 9, (len(LENGTHS), int(lengths.max())), generator=generator)
        padded = Padded(values, lengths)
        values[~padded.mask] = SPEC.pad
        sides.append(padded)
    return Batch(*sides, tuple(range(100, 100 + len(LENGTHS))))


UNSMOOTHED = CrossEntropy()


def make_update(model, *, learning_rate=1.0, clip_norm=None, loss=UNSMOOTHED, precision="fp32", seed=1):
    """Plain gradient descent with rate 1, so that the step is the gradient."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=learning_rate)
    ranks = Ranks(0, 1, torch.device("cpu"))
    return Update.of(model, loss, optimizer, ranks, inputs=TeacherForcingConfig(), clip_norm=clip_norm, precision=precision, seed=seed)


def weights(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def parts_of(batch, *cuts):
    return [batch.select_rows(part) for part in torch.arange(len(batch.records)).tensor_split(cuts)]


@pytest.mark.parametrize("name", ["lstm", "transformer"])
@pytest.mark.parametrize("cuts", [(1,), (3, 4), (2, 4, 6), (1, 2, 3, 4, 5, 6)], ids=str)
def test_accumulated_micro_batches_equal_one_big_batch(name, cuts, seed):
    batch = make_batch(seed)
    whole, pieced = make_model(seed, name), make_model(seed, name)
    expected = make_update(whole)([batch], 0, 1.0)
    found = make_update(pieced)([*parts_of(batch, *cuts), None], 0, 1.0)
    assert found.elements == expected.elements == sum(target - 1 for _, target in LENGTHS)
    assert found.loss == pytest.approx(expected.loss, abs=1e-6)
    assert found.gradient_norm == pytest.approx(expected.gradient_norm, abs=1e-6)
    for (key, one), other in zip(weights(pieced).items(), weights(whole).values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6, msg=key)


def test_the_loss_is_the_mean_over_elements_and_not_over_batches(seed):
    model, batch = make_model(seed), make_batch(seed)
    with torch.no_grad():
        losses = CrossEntropy()(model(batch.source, batch.inputs), batch.labels)
    expected = float(losses.total / batch.labels.mask.sum())
    assert make_update(model)(parts_of(batch, 1), 0, 1.0).loss == pytest.approx(expected, abs=1e-6)


def test_a_record_counts_as_much_as_its_weight(seed):
    """A record of weight 2 is as good as two of it, and one of weight 0 is as good as none."""
    batch, rows = make_batch(seed), torch.tensor([0, 1, 1, 3])
    weighted = Batch(batch.source, batch.target, batch.records, torch.tensor([1.0, 2.0, 0.0, 1.0] + [0.0] * (len(batch.records) - 4)))
    expected_model, model = make_model(seed), make_model(seed)
    expected = make_update(expected_model)([batch.select_rows(rows)], 0, 1.0)
    found = make_update(model)([weighted.select_rows(part) for part in torch.arange(len(batch.records)).split(3)], 0, 1.0)
    assert found.loss == pytest.approx(expected.loss, abs=1e-6)
    assert found.elements == int(batch.labels.lengths.sum()), "what is shown is how many were read"
    for (key, one), other in zip(weights(model).items(), weights(expected_model).values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6, msg=key)
    nothing = Batch(batch.source, batch.target, batch.records, torch.zeros(len(batch.records)))
    assert make_update(make_model(seed))([nothing], 0, 1.0).loss == 0


class Narrow(Seq2SeqModel):
    """A model for which more than `rows` rows do not fit in memory."""

    def __init__(self, inner: LSTM, rows: int, error: Exception):
        super().__init__()
        self.source, self.target = inner.source, inner.target
        self.inner, self.rows, self.error, self.tried = inner, rows, error, []

    def encode(self, source):
        self.tried.append(len(source.lengths))
        if len(source.lengths) > self.rows:
            raise self.error
        return self.inner.encode(source)

    def decode(self, inputs, memory, *, attention=False):
        return self.inner.decode(inputs, memory)


@pytest.mark.parametrize("rows", [1, 2, 3, 6])
@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")],
    ids=lambda error: type(error).__name__,
)
def test_a_batch_that_does_not_fit_is_split_with_the_same_gradient(rows, error, seed):
    batch = make_batch(seed)
    whole, narrow = make_model(seed), make_model(seed)
    expected = make_update(whole)([batch], 0, 1.0)
    found = make_update(Narrow(narrow, rows, error))([batch], 0, 1.0)
    assert found.pieces > 1
    assert not found.skipped
    assert found.loss == pytest.approx(expected.loss, abs=1e-6)
    for one, other in zip(weights(narrow).values(), weights(whole).values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_a_record_that_does_not_fit_alone_ends_training(seed):
    model = Narrow(make_model(seed), 0, torch.OutOfMemoryError("out of memory"))
    with pytest.raises(
        TrainingError,
        match=r"^Not even one record at a time fits in memory; the longest is record \d+, with 7 source and \d+ target steps\. Limit",
    ):
        make_update(model)([make_batch(seed)], 0, 1.0)


def test_other_errors_are_not_taken_for_a_lack_of_memory(seed):
    model = Narrow(make_model(seed), 2, RuntimeError("expected 3 dimensions"))
    with pytest.raises(RuntimeError, match="expected 3 dimensions"):
        make_update(model)([make_batch(seed)], 0, 1.0)
    assert model.tried == [7], "it must not try again"


def spoiled(output, labels, weights, *, rows, value):
    """Cross-entropy that is not finite in some rows."""
    losses = torch.nn.functional.cross_entropy(output.values.flatten(0, 1), labels.values.flatten(), reduction="none").view(
        labels.values.shape
    )
    spoil = torch.zeros_like(losses)
    spoil[rows, 0] = value
    return summed(losses + spoil, weights)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_update_that_is_not_finite_is_skipped_and_its_records_named(value, seed):
    model = make_model(seed)
    before = weights(model)
    result = make_update(model, loss=partial(spoiled, rows=[1, 4], value=value))([make_batch(seed)], 0, 1.0)
    assert result.skipped
    assert result.culprits == (101, 104)
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(model).items()), "a skipped update changes nothing"
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not make_update(model)([make_batch(seed)], 1, 1.0).skipped


def infinite_gradient(output, labels, weights):
    """A finite loss whose gradient is not: the square root at 0."""
    return summed((output.values.sum(-1) * 0).sqrt(), weights)


def test_a_gradient_that_is_not_finite_names_all_records(seed):
    result = make_update(make_model(seed), loss=infinite_gradient)([make_batch(seed)], 0, 1.0)
    assert result.skipped
    assert result.loss == 0.0
    assert result.culprits == tuple(range(100, 107))


def test_gradients_are_clipped_to_the_norm_and_the_norm_before_is_told(seed):
    free, clipped = make_model(seed), make_model(seed)
    start = weights(free)
    norm = make_update(free)([make_batch(seed)], 0, 1.0).gradient_norm
    result = make_update(clipped, clip_norm=norm / 4)([make_batch(seed)], 0, 1.0)
    assert result.gradient_norm == pytest.approx(norm)
    moved = sum(float((tensor - start[name]).square().sum()) for name, tensor in weights(clipped).items()) ** 0.5
    assert moved == pytest.approx(norm / 4, rel=1e-4)


def test_the_factor_scales_the_peak_rate_every_time(seed):
    model = make_model(seed)
    update = make_update(model, learning_rate=0.5)
    for step, factor in enumerate((0.1, 1.0, 0.4)):
        update([make_batch(seed)], step, factor)
        assert update.optimizer.param_groups[0]["lr"] == pytest.approx(0.5 * factor)


def test_random_numbers_depend_on_seed_and_step_alone(seed):
    def run(*, step, update_seed, disturb):
        model = make_model(seed, dropout=0.5).train()
        torch.manual_seed(disturb)
        return make_update(model, seed=update_seed)([make_batch(seed)], step, 1.0).loss

    same = run(step=3, update_seed=5, disturb=0)
    assert run(step=3, update_seed=5, disturb=99) == same
    assert run(step=4, update_seed=5, disturb=0) != same
    assert run(step=3, update_seed=6, disturb=0) != same
    seeds = {seed_from(a, b, c) for a in range(10) for b in range(10) for c in range(10)}
    assert len(seeds) == 1000
    assert all(0 <= number < 2**63 for number in seeds)


def test_frozen_parameters_stay(seed):
    model = make_model(seed)
    for parameter in model.encoder.parameters():
        parameter.requires_grad_(False)
    before = weights(model)
    make_update(model)([make_batch(seed)], 0, 1.0)
    for name, tensor in weights(model).items():
        assert torch.equal(tensor, before[name]) == name.startswith("encoder."), name


def test_bf16_moves_the_weights_about_as_fp32_does(seed):
    exact, rough = make_model(seed).float(), make_model(seed).float()
    start = weights(exact)
    make_update(exact)([make_batch(seed)], 0, 1.0)
    make_update(rough, precision="bf16")([make_batch(seed)], 0, 1.0)
    steps = [torch.cat([(tensor - start[name]).flatten() for name, tensor in weights(model).items()]) for model in (exact, rough)]
    assert float(torch.nn.functional.cosine_similarity(*steps, dim=0)) > 0.98
    assert all(tensor.dtype == torch.float32 for tensor in weights(rough).values())


def test_a_cpu_without_bf16_computes_in_fp32_and_says_so(monkeypatch):
    cpu = torch.device("cpu")
    for has in (True, False):
        monkeypatch.setattr("antiphon.training.precision.has_bf16", lambda _, has=has: has)
        with autocast("bf16", cpu):
            assert torch.is_autocast_enabled("cpu") == has
        assert ["can only imitate" in note for note in precision_notes("bf16", cpu)] == [True] * (not has)
        assert precision_notes("fp32", cpu) == []


def test_splitting_keeps_rows_and_drops_padding(seed):
    batch = make_batch(seed)
    pieces = split(batch, 4)
    assert sum((piece.records for piece in pieces), ()) == batch.records
    for piece in pieces:
        assert piece.source.values.shape[1] == int(piece.source.lengths.max())
        assert piece.target.values.shape[1] == int(piece.target.lengths.max())
    assert len(split(batch, 100)) == 7
    assert split(batch, 1) == [batch]


@pytest.mark.parametrize("head", ["point", "gaussian", "quantile"])
def test_missing_labels_do_not_count(head, seed):
    """An update with missing labels is the update on a mean over the observed ones, whichever value the hole would hold."""
    spec, plugin = ValueSpec(channels=2, known=1), registry.find("models", "lstm")
    loss_plugin = registry.find("losses", registry.find("heads", head).loss)
    generator = torch.Generator().manual_seed(seed)
    target = torch.randn(4, 6, 3, generator=generator)
    target[1, 3, :2] = target[2, 1:, :2] = float("nan")
    source = Padded(torch.randn(4, 5, 3, generator=generator), torch.tensor([5, 3, 2, 4]))
    batch = Batch(source, Padded(target, torch.tensor([6, 5, 4, 3])), (0, 1, 2, 3))
    results = []
    for pieces in (1, 2):
        torch.manual_seed(seed)
        model = plugin.build(validate(plugin.Config, {"dim": 8, "dropout": 0.0, "head": {"name": head}}), ValueSpec(3), spec)
        loss = loss_plugin.build(loss_plugin.Config(), spec)
        observed = [(0, range(5)), (1, (0, 1, 3)), (3, range(2))]
        with torch.no_grad():
            found = loss(model(batch.source, batch.inputs), batch.labels)
            expected = float(found.total) / sum(len(steps) for _, steps in observed)
        result = make_update(model, loss=loss)(parts_of(batch, pieces), 0, 1.0)
        assert not result.skipped
        assert result.elements == 10
        assert result.loss == pytest.approx(expected, rel=1e-4)
        results.append(weights(model))
    for key, tensor in results[0].items():
        torch.testing.assert_close(results[1][key], tensor, rtol=1e-4, atol=1e-5)


def test_a_batch_without_any_label_changes_nothing(seed):
    spec, plugin = ValueSpec(channels=1), registry.find("models", "lstm")
    model = plugin.build(plugin.Config(dim=8, dropout=0.0), spec, spec)
    target = torch.full((2, 3, 1), float("nan"))
    batch = Batch(Padded(torch.randn(2, 4, 1), torch.tensor([4, 2])), Padded(target, torch.tensor([3, 2])), (0, 1))
    loss_plugin, before = registry.find("losses", "squared_error"), weights(model)
    result = make_update(model, loss=loss_plugin.build(loss_plugin.Config(), spec))([batch], 0, 1.0)
    assert (result.elements, result.loss, result.skipped) == (0, 0.0, False)
    assert all(torch.equal(before[key], tensor) for key, tensor in weights(model).items())

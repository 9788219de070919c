"""The memory planner: what it counts, what it chooses, and that it leaves no trace."""

import numpy as np
import pytest
import torch

from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import TokenSpec
from antiphon.data.batching import BatchingConfig, Sampler
from antiphon.data.collate import collate
from antiphon.data.heaviest import heaviest, some_of
from antiphon.data.mapped import MemoryCorpus
from antiphon.errors import ConfigError
from antiphon.losses.cross_entropy import CrossEntropy
from antiphon.training import memory_limit, memory_planner
from antiphon.training.decoder_inputs import TeacherForcingConfig
from antiphon.training.distributed import Ranks
from antiphon.training.memory_planner import MemoryPlanner, grid, untouched
from antiphon.training.optimizers import AdamWConfig, build_optimizer
from antiphon.training.step import Update
from antiphon.training.tensor_memory import CountedTensors, peak_of
from tests.checked_shapes import unchecked

TOKENS = TokenSpec(size=50, pad=0, unknown=1, start=2, end=3, fingerprint="test")
CPU = torch.device("cpu")
LIMIT = "503 MB"  # of which the program has 500
SMALL = {
    "transformer": {"dim": 16, "encoder_layers": 1, "decoder_layers": 1, "feed_forward_dim": 32, "heads": 2},
    "lstm": {"dim": 16, "encoder_layers": 1, "decoder_layers": 1},
}


@pytest.fixture(autouse=True)
def quick():
    """Shapes of updates are checked by other tests, and here are many."""
    with unchecked():
        yield


def corpus(rows=100, seed=0):
    generator = np.random.default_rng(seed)
    lengths = np.minimum(90, 3 + generator.lognormal(2.5, 0.7, (rows, 2))).astype(int)
    return MemoryCorpus([Example(generator.integers(4, 50, s), generator.integers(4, 50, t), i) for i, (s, t) in enumerate(lengths)])


def update_of(ranks=None, name="transformer"):
    torch.manual_seed(1)
    plugin = registry.find("models", name)
    model = plugin.build(validate(plugin.Config, SMALL[name]), TOKENS, TOKENS)
    optimizer = build_optimizer(AdamWConfig(), model)
    ranks = ranks or Ranks(0, 1, CPU)
    return Update.of(model, CrossEntropy(0.1), optimizer, ranks, inputs=TeacherForcingConfig(), clip_norm=1.0, precision="fp32", seed=1)


def planner(rows, update, **settings):
    batch_of = lambda numbers: collate([rows.example(number) for number in numbers], TOKENS, TOKENS)  # noqa: E731
    settings = BatchingConfig(target_tokens="auto", **{"memory_limit": LIMIT, **settings})
    return MemoryPlanner(rows, batch_of, settings, update, seed=1)


def with_made_up_memory(rows, update, **settings):
    """A planner for whom each element, padding included, takes 1,000 bytes; `tried` are the rows that it asked for."""
    made = planner(rows, update, **settings)
    made.tried = []

    def tried_here(chosen):
        made.tried.append(len(chosen))
        return 1_000 * len(chosen) * int(rows.source_lengths[chosen].max() + rows.target_lengths[chosen].max())

    made._tried_here = tried_here
    return made


def test_what_is_counted_is_what_tensors_take_at_once():
    weight = torch.ones(100, 100, requires_grad=True)

    def work():
        read = torch.ones(50, 100)
        made = read @ weight
        view = made.t()[:10]
        del made  # its memory is that of the view
        (view.sum() + (read @ weight).relu().sum()).backward()

    counted = peak_of(work, CPU)
    at_once = 4 * 50 * 100 * 4  # what is read, the product behind the view, the other one, and what is made of it
    assert at_once < counted <= at_once + 3 * 4 * 100 * 100 + 100, "and gradients of the weight, its sum, and of what was made"
    with CountedTensors() as count:
        work()
        weight.grad = None
        assert count.now == 0, "what was let go is not counted"
    assert count.peak == counted, "the same each time"


def test_the_heaviest_batches_are_those_of_the_sampler():
    rows = corpus()
    sampler = Sampler(rows, BatchingConfig(target_tokens=500, pool_size=128), 1)
    every = list(sampler.batches(0))
    found = {tuple(batch) for batch in heaviest(sampler)}
    assert found <= {tuple(batch) for batch in every}
    sources = [len(batch) * rows.source_lengths[batch].max() for batch in every]
    assert max(sources) in [len(batch) * rows.source_lengths[list(batch)].max() for batch in found]
    for batch in every:
        for count in range(1, len(batch) + 1):
            some = some_of(rows, batch, count)
            assert len(set(some)) == count
            assert set(some) <= set(batch)
            assert count == 1 or [of[some].max() for of in (rows.source_lengths, rows.target_lengths)] == [
                of[batch].max() for of in (rows.source_lengths, rows.target_lengths)
            ]


def test_the_grid_has_four_steps_to_an_octave_and_its_end():
    assert grid(64) == [64]
    assert grid(300) == [64, 80, 96, 112, 128, 160, 192, 224, 256, 300]


@pytest.mark.parametrize("name", ["transformer", pytest.param("lstm", marks=pytest.mark.slow)])
def test_it_is_the_largest_that_fits(name, monkeypatch):
    rows = corpus()
    monkeypatch.setattr(memory_planner, "CHUNK", 32)  # logits of 50 symbols take next to nothing, so parts of any size say as much
    found = planner(rows, update_of(name=name)).plan()
    assert "all data" not in found.reason
    monkeypatch.setattr(memory_planner, "CHUNK", 1 << 40)  # so that nothing is extrapolated
    whole = planner(rows, update_of(name=name))
    with untouched(whole.update):
        whole._try(np.array([0]))
        assert whole._tried_here(np.arange(9)) == whole._tried_here(np.arange(9))
        steps = grid(1 << 20)
        above = steps[steps.index(found.target_tokens) + 1]
        assert whole.need(found.target_tokens) <= 503e6 * 1.0002 < whole.need(above) * 1.002
    assert f"`training.batching.target_tokens: auto` is {found.target_tokens:,}: the heaviest of its batches takes about" in found.reason
    assert found.reason.endswith(f" of {LIMIT}, as `training.batching.memory_limit` says.")


def test_at_most_what_is_asked_for_or_can_be_used():
    rows = corpus(20)
    assert with_made_up_memory(rows, update_of()).plan(at_most=77).target_tokens == 77
    whole = with_made_up_memory(rows, update_of(), memory_limit="600 MB").plan()
    assert whole.target_tokens == 20 * rows.target_lengths.max()
    assert "all data at once" in whole.reason


def test_nothing_is_left_of_what_was_tried():
    update = update_of()
    before = {name: value.clone() for name, value in update.learner.state_dict().items()}
    groups = [{key: value for key, value in group.items() if key != "params"} for group in update.optimizer.param_groups]
    update.learner.eval()
    update.learner.register_buffer("counted", torch.zeros(1))
    random = torch.get_rng_state()
    with untouched(update):
        assert update.learner.model.training
        rows = corpus(10)
        update([collate([rows.example(row) for row in range(10)], TOKENS, TOKENS)], 0, 1.0)
        update.learner.counted += 1
        torch.rand(3)
        assert any(not torch.equal(value, before[name]) for name, value in update.learner.state_dict().items() if name != "counted")
    assert float(update.learner.counted) == 0
    assert all(torch.equal(value, before[name]) for name, value in update.learner.state_dict().items() if name != "counted")
    assert not update.optimizer.state
    assert [{key: value for key, value in group.items() if key != "params"} for group in update.optimizer.param_groups] == groups
    assert torch.equal(torch.get_rng_state(), random)
    assert not update.learner.model.training
    assert all(parameter.grad is None for parameter in update.learner.parameters())


def test_a_limit_for_which_the_longest_example_is_too_long():
    rows = MemoryCorpus([Example(np.full(length, 5), np.full(length, 5), length) for length in (5, 1000)])
    with pytest.raises(
        ConfigError, match=r"the longest example, of 1,000 source and 1,000 target steps, alone takes about 502 MB, but the"
    ):
        with_made_up_memory(rows, update_of(), memory_limit="501 MB").plan()


def test_batches_that_no_budget_of_targets_bounds():
    rows = MemoryCorpus([Example(np.full(200, 5), np.full(2, 5), row) for row in range(32)])
    with pytest.raises(ConfigError, match=r"even the heaviest batch of 64 takes about .* Set `training.batching.source_tokens`"):
        with_made_up_memory(rows, update_of()).plan()
    assert with_made_up_memory(rows, update_of(), source_tokens=200).plan().target_tokens == 64, "all of it"


def test_on_a_gpu_the_whole_batch_is_tried_and_one_that_was_split_does_not_fit(monkeypatch):
    rows = corpus(300)
    monkeypatch.setattr(memory_planner, "memory_limit", lambda *_: memory_limit.MemoryLimit(10**9, "1 GB"))
    gpu = planner(rows, update_of())
    asked = []

    class Gpu:
        world, device = 1, torch.device("cuda")
        gather = staticmethod(lambda numbers: [numbers])

    class Split:
        pieces = 2

    def update(batches, step, factor):
        (batch,) = batches
        asked.append(len(batch.records))
        pieces = Split()
        pieces.pieces = 1 + (batch.target.values.numel() > 1500)
        return pieces

    monkeypatch.setattr(gpu, "ranks", Gpu())
    monkeypatch.setattr(gpu, "update", update)
    monkeypatch.setattr(memory_planner, "untouched", lambda _: torch.no_grad())
    monkeypatch.setattr(memory_planner, "peak_of", lambda work, _: work() or 1000)
    assert gpu.plan().target_tokens == 1280, "1,536 makes batches that are split"
    assert max(asked) > 60


def test_of_several_processes_the_least_memory_counts():
    class Two:
        """The other process has 1 MB less, and takes 10 % more."""

        world, device = 2, CPU

        def gather(self, numbers):
            return [numbers, [numbers[0] - 1_000_000 if numbers[0] == 503_000_000 else numbers[0] * 11 // 10]]

    rows = corpus()
    alone, two = with_made_up_memory(rows, update_of()), with_made_up_memory(rows, update_of())
    two.ranks = Two()
    found, of_both = alone.plan(), two.plan()
    assert of_both.reason.endswith("of 502 MB, the least of any process.")
    assert found.target_tokens < of_both.target_tokens < 2 * found.target_tokens, "each process has half of the rows"


@pytest.mark.parametrize("size", ["4", "4GBs", "-1 GB", "0 GB", "lots"])
def test_a_size_without_sense(size):
    with pytest.raises(ConfigError, match="must be a size of memory such as `4 GB`"):
        validate(BatchingConfig, {"target_tokens": "auto", "memory_limit": size})


@pytest.mark.parametrize("value", [0, "many", 1.5, True])
def test_a_budget_without_sense(value):
    with pytest.raises(ConfigError, match=r"^`target_tokens`: must be `auto`, or a whole number of at least 1, but is"):
        validate(BatchingConfig, {"target_tokens": value})


def test_a_limit_without_effect():
    with pytest.raises(ConfigError, match="`memory_limit` must be left out unless `target_tokens` is `auto`"):
        validate(BatchingConfig, {"target_tokens": 100, "memory_limit": "4 GB"})


def test_what_is_auto_makes_no_batches():
    with pytest.raises(ConfigError, match=r"`training\.batching\.target_tokens` must be a number here"):
        Sampler(corpus(3), BatchingConfig(target_tokens="auto"), 1)


def test_limits_of_devices(monkeypatch):
    monkeypatch.setattr(memory_limit, "available", lambda: 7_900_000_000)
    limit = memory_limit.memory_limit(None, CPU)
    assert limit.bytes == 3_500_000_000
    assert "half of the memory that is free" in limit.reason
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert memory_limit.memory_limit(None, CPU).bytes == 1_500_000_000
    assert memory_limit.memory_limit("2 GiB", CPU).bytes == 2 << 30
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (9_000_000_000, 1_000_000_000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 1_000_000_000)
    gpu = torch.device("cuda")
    assert memory_limit.memory_limit("20 GB", gpu).bytes == memory_limit.memory_limit(None, gpu).bytes == 9_000_000_000
    assert memory_limit.memory_limit("4 GB", gpu).bytes == 4_000_000_000
    with pytest.raises(ConfigError, match="must be a number on `mps`"):
        memory_limit.memory_limit(None, torch.device("mps"))
    assert memory_limit.available() == 7_900_000_000


def test_what_is_free_is_a_part_of_what_there_is():
    free = memory_limit.available()
    assert 0 < free <= 1 << 50

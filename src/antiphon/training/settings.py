"""The training section of a recipe."""

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from antiphon.contracts.configuration import Count, config, plugin_field
from antiphon.data.batching import BatchingConfig
from antiphon.errors import ConfigError, nearest
from antiphon.metrics.interface import says_better
from antiphon.metrics.scoring import find_metric
from antiphon.training.decoder_inputs import DecoderInputsConfig, TeacherForcingConfig
from antiphon.training.distributed import DistributedConfig
from antiphon.training.optimizers import AdafactorConfig, AdamWConfig, OptimizerConfig
from antiphon.training.precision import Precision
from antiphon.training.schedules import InverseSquareRootConfig, ScheduleConfig


@config
class TrainingConfig:
    """How long, how fast and how carefully to train."""

    max_steps: Annotated[int, Field(ge=0)] | None = None
    """Stop after this many updates; 0 scores and saves the initial weights, such as those of a published model."""
    max_epochs: Annotated[float, Field(gt=0)] | None = None
    """Stop after this many passes over the data."""
    max_minutes: Annotated[float, Field(gt=0)] | None = None
    """Stop after this many minutes."""
    batching: BatchingConfig = BatchingConfig()
    """How records are grouped into batches."""
    accumulation: Count = 1
    """Batches for one update."""
    optimizer: OptimizerConfig = AdamWConfig()
    """How gradients are turned into updates."""
    schedule: ScheduleConfig = InverseSquareRootConfig()
    """How the learning rate changes."""
    loss: plugin_field("losses", "cross_entropy") | None = None  # type: ignore[valid-type]
    """The loss to minimize; None means the default for the output layer (cross-entropy for symbols)."""
    decoder_inputs: DecoderInputsConfig = TeacherForcingConfig()
    """The decoder's inputs in training."""
    clip_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """Largest gradient norm; larger gradients are scaled down. None never scales them."""
    precision: Precision = "fp32"
    """fp32; bf16 (autocast: only matrix products are rounded); or bf16_weights (weights and activations are rounded, too, and master
    weights in fp32 are updated and saved): faster still. For GPUs without bf16 there is fp16 (autocast, with a scaled loss so that small
    gradients survive); tf32 rounds the inputs of products on Nvidia's GPUs. A precision that a device does not support is replaced by fp32,
    with a message."""
    compile: bool = False
    """Compile the layers of attention (torch.compile) in the first updates, for all updates that follow: useful for long trainings. Losses
    are the same except for rounding, and for other random numbers in dropout."""
    deterministic: bool = False
    """On a GPU, use only deterministic algorithms, which are slower: then two runs of a recipe are bitwise identical, and so is a resumed
    one. On a CPU this is always the case."""
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Keep, evaluate and save an exponential moving average of the weights."""
    average: Count = 1
    """At the end, average this many last checkpoints, and keep the average if it scores better."""
    validate_every: Count | Literal["auto"] | None = None
    """Updates between validations; `auto` validates ten times, evenly spread over the budget, whatever its unit; None validates once per
    epoch, or less often if `validation_share` would not allow it."""
    save_every: Count | None = None
    """Updates between checkpoints besides those at validations."""
    save_minutes: Annotated[float, Field(gt=0)] | None = 15
    """Minutes without a checkpoint after which a temporary one is written, for resuming only; None never writes one."""
    keep: Count = 3
    """Checkpoints kept besides the best."""
    best: str = "loss"
    """The score that decides which checkpoint is best: `loss`, or one of `evaluation.metrics`, computed by decoding."""
    patience: Count | None = None
    """Stop after this many validations without a new best."""
    validation_records: Count | None = 500
    """The greatest number of validation records that are decoded for metrics in training (the loss always uses all); None means all."""
    validation_share: Annotated[float, Field(gt=0, le=1)] | None = 0.1
    """The approximate limit of the time for validation, as a share of that for updates: fewer records are decoded if it would be more, and
    several short epochs get one validation. Costs are estimated from lengths, not timed. None means no limit."""
    freeze: tuple[str, ...] = ()
    """Parameters that are frozen: patterns such as `encoder.*`."""
    init_from: Path | None = None
    """A run or checkpoint whose weights initialize those of the model, where names and shapes match."""
    init_vocabulary: Literal["keep", "new"] = "keep"
    """Whether a run that starts from the weights of `init_from` keeps its vocabulary, if `task.vocabulary` has the same settings, or learns
    a new one. For another language or alphabet: new."""
    init_layers: Literal["number", "spread"] = "number"
    """Which layers of `init_from` a model of another depth takes: those of the same number, or evenly spaced ones, first and last
    included (Shleifer and Rush 2020)."""
    nonfinite_patience: Count = 10
    """Stop after this many consecutive updates whose loss or gradient was not finite."""
    log_every: Count = 20
    """Updates between lines of the log."""
    log_records: bool = False
    """Also log which records each update used."""
    trackers: tuple[plugin_field("trackers"), ...] = ()  # type: ignore[valid-type]
    """Further places to send events to: `[tensorboard]`, `[{name: mlflow, uri: ...}, wandb]`."""
    tensorboard: bool = False
    """The older form of `trackers: [tensorboard]`."""
    samples: Annotated[int, Field(ge=0)] = 3
    """Decoded validation samples shown at each validation."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""
    distributed: DistributedConfig = DistributedConfig()
    """How the processes that `torchrun` starts share the work."""

    def __post_init__(self) -> None:
        if self.max_steps is None and self.max_epochs is None and self.max_minutes is None:
            raise ValueError("needs a budget: set max_steps, max_epochs or max_minutes.")
        if self.init_layers != "number" and self.init_from is None:
            raise ValueError("`init_layers` must be left out without `init_from`, where it has no effect.")
        if self.init_vocabulary != "keep" and self.init_from is None:
            raise ValueError("`init_vocabulary` must be left out without `init_from`, where it has no effect.")
        names = [one.name for one in self.trackers]
        if len(names) > len(set(names)):
            raise ValueError(f"`trackers` must name each tracker once, but are {', '.join(names)}.")
        if self.distributed.shard and isinstance(self.optimizer, AdafactorConfig):
            raise ValueError("`optimizer` must not be `adafactor` with `distributed.shard`: it needs whole matrices. Take `adamw`.")
        if self.distributed.shard and self.loss is not None and self.loss.name == "minimum_risk":
            raise ValueError("`loss` must not be `minimum_risk` with `distributed.shard`, which decodes while it learns.")
        if self.distributed.shard and self.precision == "fp16":
            raise ValueError("`precision` must not be `fp16` with `distributed.shard`, which has no scaled loss. Take `bf16`.")
        if self.distributed.shard and self.compile:
            raise ValueError("`compile` must be false with `distributed.shard`: compiled layers have not been proved within shards.")
        if self.distributed.offload and not self.distributed.shard:
            raise ValueError("`distributed.offload` must be left out without `distributed.shard`, whose shards it keeps.")
        if self.average > self.keep:
            raise ValueError(f"`average` must be at most `keep` ({self.keep}), but is {self.average}.")


def check_best(settings: TrainingConfig, metrics: tuple[str, ...]) -> None:
    """Raises ConfigError when `best` names a metric that is not computed, or one that cannot rank checkpoints."""
    if settings.best != "loss" and settings.best not in metrics:
        raise ConfigError(
            f"`training.best` must be `loss` or one of `evaluation.metrics` ({', '.join(metrics)}), but is {settings.best!r}."
            f"{nearest(settings.best.lower(), metrics)}"
        )
    if settings.best != "loss" and not says_better(find_metric(settings.best)):
        raise ConfigError(
            f"`training.best` must be a metric that says what is better, but `{settings.best}` only describes outputs."
            " Take `loss`, or a metric of quality such as `chrf` or `rouge_l`."
        )


def warmup_notes(settings: TrainingConfig, batches_per_epoch: int) -> list[str]:
    """Remarks before training when the warm-up takes longer than the budget of steps or epochs; it is not checked against minutes."""
    warmup = settings.schedule.warmup_steps
    if warmup == "auto":  # a share of the budget
        return []
    updates = [settings.max_steps] if settings.max_steps is not None else []
    if settings.max_epochs is not None:
        updates.append(math.ceil(settings.max_epochs * math.ceil(batches_per_epoch / settings.accumulation)))
    budget = min(updates, default=0)
    if not 0 < budget <= warmup:
        return []
    return [
        f"`training.schedule.warmup_steps` is {warmup:,}, and the budget is about {budget:,} updates: the learning rate rises until the"
        f" end, to {budget / warmup:.0%} of `training.optimizer.learning_rate`. Lower the one or raise the other."
    ]

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
    """Stop after so many updates; 0 scores and saves the weights that the run begins with, such as those of a published model."""
    max_epochs: Annotated[float, Field(gt=0)] | None = None
    """Stop after so many passes over the data."""
    max_minutes: Annotated[float, Field(gt=0)] | None = None
    """Stop after so many minutes."""
    batching: BatchingConfig = BatchingConfig()
    """How records become batches."""
    accumulation: Count = 1
    """Batches for one update."""
    optimizer: OptimizerConfig = AdamWConfig()
    """What turns gradients into updates."""
    schedule: ScheduleConfig = InverseSquareRootConfig()
    """How the learning rate changes."""
    loss: plugin_field("losses", "cross_entropy") | None = None  # type: ignore[valid-type]
    """What is minimized; None is what is natural for the output layer (cross-entropy for symbols)."""
    decoder_inputs: DecoderInputsConfig = TeacherForcingConfig()
    """What the decoder reads while it learns."""
    clip_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """Largest gradient norm; larger gradients are scaled down. None leaves them as they are."""
    precision: Precision = "fp32"
    """fp32; bf16 (autocast: products alone are rounded); or bf16_weights (weights and what flows between layers are rounded, too, and learn
    through masters in fp32, which are what is saved): faster still. For GPUs without bf16 there is fp16 (autocast, with a loss that is
    scaled so that small gradients survive); tf32 rounds what enters products on Nvidia's GPUs. What a device lacks it computes in fp32, and
    says so."""
    compile: bool = False
    """Compile the layers of attention (torch.compile) in the first updates, for all updates that follow: worth it for long trainings. Their
    losses are the same up to rounding, and to other random numbers in dropout."""
    deterministic: bool = False
    """On a GPU, take only algorithms that give the same bits every time, which are slower: then two runs of a recipe are bit-identical,
    and so is a resumed one. A CPU is so in any case."""
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Keep, evaluate and save an exponential moving average of the weights."""
    average: Count = 1
    """At the end, average the last so many checkpoints, and keep the average if it scores better."""
    validate_every: Count | Literal["auto"] | None = None
    """Updates between validations; `auto` is ten times, evenly spread over the budget, whatever its unit; None is once per epoch, or less
    often where `validation_share` would not allow it."""
    save_every: Count | None = None
    """Updates between checkpoints besides those at validations."""
    save_minutes: Annotated[float, Field(gt=0)] | None = 15
    """Minutes without a checkpoint after which one is written that serves for resuming only, until the next one; None is never."""
    keep: Count = 3
    """Checkpoints kept besides the best."""
    best: str = "loss"
    """What decides which checkpoint is best: `loss`, or one of `evaluation.metrics`, computed by decoding."""
    patience: Count | None = None
    """Stop after so many validations without a new best."""
    validation_records: Count | None = 500
    """The most validation records that are decoded for metrics while training (loss always uses all); None is all."""
    validation_share: Annotated[float, Field(gt=0, le=1)] | None = 0.1
    """About how much of the time that updates take may be spent on validation: fewer records are decoded where it would be more, and epochs
    too short for it are validated together. Costs are estimated from lengths, not timed. None is no limit."""
    freeze: tuple[str, ...] = ()
    """Parameters that stay as they are: patterns such as `encoder.*`."""
    init_from: Path | None = None
    """A run or checkpoint whose weights training starts from, where names and shapes match."""
    init_vocabulary: Literal["keep", "new"] = "keep"
    """Whether a run that begins with the weights of `init_from` keeps its vocabulary, where `task.vocabulary` has the same settings, or
    learns one of its own. With another language or alphabet: new."""
    init_layers: Literal["number", "spread"] = "number"
    """Which layers of `init_from` a model of another depth takes: those of the same number, or evenly spaced ones, first and last
    included (Shleifer and Rush 2020)."""
    nonfinite_patience: Count = 10
    """Stop after so many updates in a row whose loss or gradient was not finite."""
    log_every: Count = 20
    """Updates between lines of the log."""
    log_records: bool = False
    """Also log which records each update learned from."""
    trackers: tuple[plugin_field("trackers"), ...] = ()  # type: ignore[valid-type]
    """Where else events go: `[tensorboard]`, `[{name: mlflow, uri: ...}, wandb]`."""
    tensorboard: bool = False
    """The older way to say `trackers: [tensorboard]`."""
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

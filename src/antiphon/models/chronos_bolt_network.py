"""The network of Chronos-Bolt (Ansari et al. 2024): maps a window of one channel to quantiles of the next steps.

    window (N, S) -> mean 0, deviation 1 -> patches of 16, each with marks of what is missing -> residual block -> T5 encoder
    a start symbol, which attends to the patches -> T5 decoder -> residual block -> quantiles (N, Q, P) of all steps at once, in the
    window's own units

The layers of T5 are those of the library transformers; what stands around them is here. Weights have their published names.

Unusual here: windows end together, not begin together, so that patches never depend on the rest of a batch. The decoder says one vector,
so what weighs its own steps against each other (queries, keys, positions) has no effect; these weights are kept, and do not learn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import pad

from antiphon.errors import ConfigError
from antiphon.layers.dropout import Dropout

_LEAST_SCALE = 1e-5  # of a window that is constant
_T5_SETTINGS = (
    *("d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads", "feed_forward_proj", "layer_norm_epsilon"),
    *("relative_attention_num_buckets", "relative_attention_max_distance", "dropout_rate", "initializer_factor"),
)


@dataclass(frozen=True)
class ChronosShape:
    """Sizes of the network, from a checkpoint's `config.json`."""

    context_length: int
    prediction_length: int
    patch: int
    levels: tuple[float, ...]
    register: bool  # one more vector behind the patches
    start: int
    layers: Mapping[str, Any]  # settings of T5


def shape_of(description: Mapping[str, Any], name: str) -> ChronosShape:
    """The shape that a checkpoint's configuration describes; `name` identifies the checkpoint in errors.

    Raises ConfigError when it is no Chronos-Bolt, or one that this network cannot be.
    """
    own = description.get("chronos_config")
    if not isinstance(own, Mapping):
        raise _no_bolt(name, f"a plain `{description.get('model_type', '?')}`, without `chronos_config` in its config.json")
    if "Chronos2" in f"{description.get('architectures')} {description.get('chronos_pipeline_class')}":
        raise _no_bolt(name, "a Chronos-2, which is another architecture")
    if "tokenizer_class" in own:
        raise _no_bolt(name, "an original Chronos, which turns values into symbols")
    wanted = ("context_length", "prediction_length", "input_patch_size", "input_patch_stride", "quantiles")
    missing = [key for key in wanted if key not in own] + [key for key in ("d_model", "d_kv", "d_ff") if key not in description]
    if missing:
        raise ConfigError(f"`model.path` must be a whole Chronos-Bolt checkpoint, but config.json of {name} does not say `{missing[0]}`.")
    levels = tuple(float(level) for level in own["quantiles"])
    if own["input_patch_stride"] != own["input_patch_size"]:
        raise ConfigError(
            f"`model.path` must have patches that do not overlap, but {name} begins one of {own['input_patch_size']} steps every"
            f" {own['input_patch_stride']}."
        )
    if 0.5 not in levels or any(not low < high for low, high in pairwise((0.0, *levels, 1.0))):
        raise ConfigError(f"`model.path` must have quantiles that ascend within 0 and 1 and hold 0.5, but {name} has {list(levels)}.")
    return ChronosShape(
        int(own["context_length"]),
        int(own["prediction_length"]),
        int(own["input_patch_size"]),
        levels,
        bool(own.get("use_reg_token", False)),
        int(description.get("decoder_start_token_id") or 0),
        {key: description[key] for key in _T5_SETTINGS if key in description},
    )


def _no_bolt(name: str, found: str) -> ConfigError:
    return ConfigError(f"`model.path` must be a Chronos-Bolt checkpoint such as `amazon/chronos-bolt-small`, but {name} is {found}.")


@final
class ResidualBlock(nn.Module):
    """(..., D) -> (..., N): one hidden layer, with a linear map as residual."""

    def __init__(self, inputs: int, hidden: int, outputs: int, activation: nn.Module, dropout: float):
        super().__init__()
        self.hidden_layer = nn.Linear(inputs, hidden)
        self.activation = activation
        self.output_layer = nn.Linear(hidden, outputs)
        self.residual_layer = nn.Linear(inputs, outputs)
        self.dropout = Dropout(dropout)

    def forward(self, inputs: Float[Tensor, "... D"]) -> Float[Tensor, "... N"]:
        """The sum of both."""
        hidden = self.activation(self.hidden_layer(inputs))
        return self.dropout(self.output_layer(hidden)) + self.residual_layer(inputs)  # type: ignore[no-any-return]


@final
class ChronosBoltNetwork(nn.Module):
    """Windows of single channels -> quantiles of their next steps."""

    def __init__(self, shape: ChronosShape, dropout: float | None = None):
        super().__init__()
        from transformers import T5Config
        from transformers.activations import ACT2FN
        from transformers.models.t5.modeling_t5 import T5Stack

        settings = {"vocab_size": 1, "eos_token_id": None, "use_cache": False, **shape.layers}
        settings |= {} if dropout is None else {"dropout_rate": dropout}
        config = T5Config(is_decoder=False, **settings)
        deciding = T5Config(is_decoder=True, **{**settings, "num_layers": config.num_decoder_layers})
        self.shape = shape
        self.shared = nn.Embedding(2 if shape.register else 1, config.d_model)
        self.input_patch_embedding = ResidualBlock(
            2 * shape.patch, config.d_ff, config.d_model, ACT2FN[config.dense_act_fn], config.dropout_rate
        )
        self.encoder, self.decoder = T5Stack(config), T5Stack(deciding)
        self.encoder.embed_tokens = self.decoder.embed_tokens = None  # they are given vectors
        self.output_patch_embedding = ResidualBlock(
            config.d_model, config.d_ff, len(shape.levels) * shape.prediction_length, ACT2FN[config.dense_act_fn], config.dropout_rate
        )
        for name, parameter in self.decoder.named_parameters():
            if any(f"SelfAttention.{part}." in name for part in ("q", "k", "relative_attention_bias")):
                parameter.requires_grad_(False)

    def forward(self, values: Float[Tensor, "N S"], observed: Bool[Tensor, "N S"]) -> Float[Tensor, "N Q P"]:
        """Quantiles of the `prediction_length` steps after each window, of which the latest `context_length` steps are read.

        What is not `observed` may be any finite number.
        """
        values, observed = values[:, -self.shape.context_length :], observed[:, -self.shape.context_length :]
        location, scale = _measured(values, observed)
        scaled = torch.where(observed, (values - location) / scale, 0.0)
        short = -scaled.shape[1] % self.shape.patch
        marks = pad(observed, (short, 0)).unflatten(1, (-1, self.shape.patch))
        patches = pad(scaled, (short, 0)).unflatten(1, (-1, self.shape.patch))
        embedded = self.input_patch_embedding(torch.cat([patches, marks.to(patches.dtype)], dim=2))
        visible = marks.any(2)
        visible[:, -1] |= ~visible.any(1)  # something must be attended to
        if self.shape.register:
            register = self.shared.weight[1].to(embedded.dtype).expand(embedded.shape[0], 1, -1)
            embedded, visible = torch.cat([embedded, register], dim=1), pad(visible, (0, 1), value=True)
        states = self.encoder(inputs_embeds=embedded, attention_mask=visible.long()).last_hidden_state
        start = self.shared.weight[self.shape.start].expand(states.shape[0], 1, -1)
        said = self.decoder(inputs_embeds=start, encoder_hidden_states=states, encoder_attention_mask=visible.long(), use_cache=False)
        quantiles = self.output_patch_embedding(said.last_hidden_state[:, 0]).unflatten(1, (len(self.shape.levels), -1))
        return quantiles.to(values.dtype) * scale.unsqueeze(2) + location.unsqueeze(2)  # type: ignore[no-any-return]

    def forecast(self, values: Float[Tensor, "N S"], observed: Bool[Tensor, "N S"], steps: int) -> Float[Tensor, "N Q T"]:
        """Quantiles of T = `steps` steps.

        Behind `prediction_length` each quantile so far is taken for a path that happened: all are continued, and the quantiles of what is
        said of the next steps are taken over the Q * Q continuations.
        """
        levels = len(self.shape.levels)
        blocks = [self(values, observed)]
        if steps > self.shape.prediction_length:
            values, observed = (part[:, -self.shape.context_length :].repeat_interleave(levels, 0) for part in (values, observed))
        while len(blocks) * self.shape.prediction_length < steps:
            path = blocks[-1].flatten(0, 1)  # (N * Q, P)
            values = torch.cat([values, path], dim=1)[:, -self.shape.context_length :]
            observed = pad(observed, (0, path.shape[1]), value=True)[:, -self.shape.context_length :]
            continued = self(values, observed).unflatten(0, (-1, levels)).flatten(1, 2)  # (N, Q * Q, P)
            blocks.append(_quantiles(continued, self.shape.levels))
        return torch.cat(blocks, dim=2)[..., :steps]


def _measured(values: Float[Tensor, "N S"], observed: Bool[Tensor, "N S"]) -> tuple[Float[Tensor, "N 1"], Float[Tensor, "N 1"]]:
    """Mean and deviation of the observed values; 0 and 1 where there are none."""
    count = observed.sum(1, keepdim=True)
    location = torch.where(observed, values, 0.0).sum(1, keepdim=True) / count.clamp(min=1)
    variance = torch.where(observed, (values - location).square(), 0.0).sum(1, keepdim=True) / count.clamp(min=1)
    constant = variance == 0
    scale = torch.where(constant, 1.0, variance).sqrt()  # the root of 0 has no gradient
    return location, torch.where(constant & (count > 0), _LEAST_SCALE, scale)


def _quantiles(samples: Float[Tensor, "N M P"], levels: Sequence[float]) -> Float[Tensor, "N Q P"]:
    """Empirical quantiles over the M samples, interpolated linearly."""
    ordered = samples.sort(dim=1).values
    places = torch.tensor(levels, dtype=torch.float64) * (samples.shape[1] - 1)  # on the CPU: not every device has doubles
    low, high = places.floor().long(), places.ceil().long()
    between = (places - low).to(samples).unsqueeze(1)
    return ordered[:, low.to(samples.device)].lerp(ordered[:, high.to(samples.device)], between)

"""Whisper as a published architecture: recognizes its checkpoints, checks which frames they need, and passes these to the encoder.

Unusual here: Whisper knows no padding. It learned from recordings filled up to 30 seconds, so its encoder reads so many frames, always, and
its decoder looks at all of them. What is shorter is filled with the lowest value of the recording, which is what silence is in Whisper's
log-mel; recordings that the task has filled up (`task.features.padded_seconds`) are read as transformers reads them, exactly.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from antiphon.contracts.sequences import Padded
from antiphon.contracts.specs import Spec, TokenSpec, ValueSpec
from antiphon.errors import ConfigError, DataError
from antiphon.features.filter_banks import WHISPER_RATE

FAMILY = "whisper"
STRIDE = 2  # frames for one state of the encoder
_RATE = 100  # frames a second
_EXTRACTOR = {"sampling_rate": WHISPER_RATE, "hop_length": WHISPER_RATE // _RATE, "n_fft": 400}


def check_source(name: str, description: Mapping[str, Any], source: Spec, target: Spec) -> None:
    """Raise ConfigError when a checkpoint cannot read the source or write the target."""
    family, listens = description["model_type"], description["model_type"] == FAMILY
    if not isinstance(target, TokenSpec):
        raise ConfigError("`model.name` must not be `pretrained` when the target is made of values: it writes symbols.")
    if not listens:
        if not isinstance(source, TokenSpec):
            raise ConfigError(
                f"`model.path` must be a Whisper, or `model.name` another architecture, when the source is made of values, but {name} is a"
                f" {family}, which reads texts."
            )
        return
    if not isinstance(source, ValueSpec):
        raise ConfigError(f"`task.name` must be speech_recognition for {name}, which is a Whisper: it reads recordings, not texts.")
    bins, frames = description.get("num_mel_bins", 80), longest(description)
    found = (source.kind or FAMILY, source.channels, source.length if source.kind else frames)
    if found != (FAMILY, bins, frames):
        length = "not filled up" if found[2] is None else f"filled up to {found[2] / _RATE:g} s"
        raise ConfigError(
            f"`task.features` must be {{kind: whisper, bins: {bins}, padded_seconds: {frames / _RATE:g}}} with `task.normalization: none`"
            f" for {name}, but are {found[0]} with {found[1]} bins, {length}."
        )


def check_extractor(folder: Path, name: str, description: Mapping[str, Any]) -> None:
    """Raise ConfigError when a checkpoint needs other frames than our features `whisper`."""
    try:
        wanted = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise ConfigError(f"`preprocessor_config.json` of {name} must be JSON, but cannot be read as such: {error}.") from error
    ours = {**_EXTRACTOR, "feature_size": description.get("num_mel_bins", 80), "chunk_length": longest(description) // _RATE}
    for key, value in ours.items():
        if wanted.get(key, value) != value:
            raise ConfigError(
                f"`{key}` must be {value} in the preprocessor_config.json of {name}, but is {wanted[key]}: no features match it."
            )


def extractor(description: Mapping[str, Any]) -> Any:
    """Transformers' feature extractor for a Whisper."""
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor(
        feature_size=description.get("num_mel_bins", 80), chunk_length=longest(description) // _RATE, **_EXTRACTOR
    )


def longest(description: Mapping[str, Any]) -> int:
    """The number of frames that a Whisper reads."""
    return STRIDE * int(description.get("max_source_positions", 1500))


def filled_up(source: Padded, frames: int) -> Float[Tensor, "B C S"]:
    """The frames in the layout of Whisper's encoder: channels first, padded to a fixed length. Raises DataError when there are more."""
    if source.longest > frames:
        found = source.longest
        raise DataError(
            f"Whisper reads at most {frames} frames ({frames / _RATE:g} s) at once, but a recording has {found}. Cut it, or set"
            " `segments.longest` to predict it in parts."
        )
    values, mask = source.values[:, :frames], source.mask[:, :frames].unsqueeze(-1)
    silence = values.masked_fill(~mask, float("inf")).amin(dim=(1, 2), keepdim=True)
    values = torch.where(mask, values, silence)
    missing = silence.expand(-1, max(0, frames - values.shape[1]), values.shape[2])
    return torch.cat([values, missing], dim=1).transpose(1, 2)

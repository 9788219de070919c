"""Noise from a folder of recordings, which is added to speech in training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Float

from antiphon.data.audio import AUDIO_SUFFIXES, open_audio
from antiphon.errors import DataError
from antiphon.features.augmentation import Noise


def folder_noise(folder: Path, sample_rate: int) -> Noise:
    """Cuts of the recordings in a folder, chosen by the generator; a short one is repeated. Raises DataError when there are none."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES) if folder.is_dir() else []
    if not paths:
        raise DataError(f"`augmentation.noise.folder` must be a folder with recordings of noise, but `{folder}` has none.")
    return _Cuts(paths, sample_rate)


@final
@dataclass(frozen=True)
class _Cuts:
    """Random cuts of recordings; an object rather than a closure, which cannot be sent to a worker process."""

    paths: Sequence[Path]
    sample_rate: int

    def __call__(self, samples: int, generator: np.random.Generator) -> Float[np.ndarray, " N"]:
        recording = open_audio(self.paths[int(generator.integers(len(self.paths)))])
        try:
            seconds = samples / self.sample_rate
            start = float(generator.uniform(0, max(0.0, recording.seconds - seconds)))
            found = recording.read(self.sample_rate, start, min(recording.seconds, start + seconds + 0.01))
        finally:
            recording.close()
        return np.resize(found, samples)

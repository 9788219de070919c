"""Small sounds for tests, written in every format."""

from pathlib import Path

import numpy as np
import soundfile

FORMATS = {
    "wav": {},
    "u8.wav": {"subtype": "PCM_U8"},
    "double.wav": {"subtype": "DOUBLE"},
    "flac": {},
    "ogg": {},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {},
    "aiff": {},
}


def tone(seconds: float = 1.0, hertz: float = 440.0, rate: int = 16000, level: float = 0.4) -> np.ndarray:
    """A sine wave, float32 (N,)."""
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = 16000, **settings: str) -> Path:
    """Write a sound and give its path back."""
    soundfile.write(path, samples, rate, **settings)
    return path

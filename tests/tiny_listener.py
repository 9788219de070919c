"""A tiny model that hears, with random weights, and a worker for tests of services that asks it in the test's own process."""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from antiphon.prediction.predictor import Predictor
from antiphon.recipe.assembly import Trained, build_model
from antiphon.recipe.recipe import recipe_from
from antiphon.serving.pool import Served, WorkerProcess
from antiphon.serving.turns import Heard, Speakers, Turn
from antiphon.serving.worker import Answer, Asked, Card, answers, card_of
from antiphon.tasks.speech_recognition.task import SpeechRecognition

RATE = 8000


def sound(seconds: float = 3.0, rate: int = RATE) -> np.ndarray:
    """Tones that change five times a second, (N,) float32."""
    generator = np.random.default_rng(7)
    time = np.arange(int(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * (300 + 200 * np.floor(time * 5)) * time) + generator.normal(0, 0.01, len(time))).astype(np.float32)


def blocks_of(samples: np.ndarray, size: int) -> list[np.ndarray]:
    """A sound in blocks of so many samples."""
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def texts_of(model: Predictor, blocks: list[np.ndarray], rate: int = RATE) -> list[str]:
    """What `predict` itself says of a stream: each text that is another than the one before, and the last one."""
    *partial, last = [one.text for one in model.stream(blocks, rate)]
    told = [text for before, text in pairwise(["", *partial]) if text != before]
    return [*told, last]


def listener(normalization: str = "global", kind: str = "filter_banks", longest: float = 30.0, seed: int = 3, **model: Any) -> Predictor:
    """A model of one layer that hears 8,000 samples a second."""
    settings = {"name": "encoder_only", "encoder": {"name": "conformer", "dim": 16, "layers": 1, "heads": 2, "feed_forward_dim": 16}}
    recipe = recipe_from(
        {
            "task": {
                "name": "speech_recognition",
                "sample_rate": 16000 if kind == "whisper" else RATE,
                "features": {"kind": kind, "bins": 10},
                "normalization": normalization,
                "segments": {"longest": longest},
            },
            "data": {"train": "x"},
            "model": {**settings, "subsampling": 2, "subsampling_width": 2, "chunk": 8, **model},
            "training": {"max_steps": 1},
        }
    )
    task = SpeechRecognition(recipe.task)
    task.fit([{"audio": sound(), "sample_rate": RATE, "text": "abc cab"}])
    torch.manual_seed(seed)
    network = build_model(recipe, task).eval()
    return Predictor([Trained(Path("here"), recipe, task, network, {})], device="cpu")


class Listener(WorkerProcess):
    """A worker that asks `model`."""

    model: Predictor

    def __init__(self, served: Served, threads: int):
        self.known: dict[str, Predictor] = {}
        self.speakers = Speakers(self.model)
        self.closed = False

    async def card(self) -> Card:
        return card_of(self.model)

    async def ask(self, asked: list[Asked]) -> list[Answer]:
        return await asyncio.to_thread(answers, self.model, asked, self.known)

    async def listen(self, turns: list[Turn]) -> list[Heard]:
        return await asyncio.to_thread(self.speakers.answers, turns)

    def close(self) -> None:
        self.closed = True

    def wait(self) -> None:
        assert self.closed

    def kill(self) -> None:
        self.closed = True

"""Speech in small: sequences of tones must become letters, with whatever seed; by CTC, by attention, by both, and by transducers.

A letter is a tone (a bump over the channels) of random length, pitch and loudness between silences, all in noise. Repeated letters are
told apart by a silence between them. Recordings that are scored were never seen.
"""

from typing import Any

import numpy as np
import pytest
import torch

from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Batch, Example
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.data.collate import collate
from antiphon.losses.cross_entropy import CrossEntropyConfig
from antiphon.losses.ctc import CTCConfig
from antiphon.losses.joint_ctc import JointCTCConfig
from antiphon.losses.transducer import TransducerLossConfig
from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.ctc import CTCSearch, CTCSearchConfig
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.limits import LimitsConfig
from antiphon.search.transducer import TransducerSearch, TransducerSearchConfig

CHANNELS, LETTERS = 20, 8
SOURCE = ValueSpec(channels=CHANNELS)
TARGET = TokenSpec(size=4 + LETTERS, pad=0, unknown=1, start=2, end=3)
ENCODER = {"heads": 4, "feed_forward_dim": 96, "dropout": 0.0}


def recording(rng: np.random.Generator) -> Example:
    """Two to seven letters."""
    letters = rng.integers(LETTERS, size=rng.integers(2, 8))
    pieces = [np.zeros((rng.integers(2, 5), CHANNELS))]
    for letter in letters:
        pitch = (letter + rng.uniform(0.35, 0.65)) * CHANNELS / LETTERS
        bump = np.exp(-0.5 * ((np.arange(CHANNELS) + 0.5 - pitch) / 0.8) ** 2) * rng.uniform(1.5, 3)
        pieces += [np.tile(bump, (rng.integers(4, 10), 1)), np.zeros((rng.integers(2, 5), CHANNELS))]
    frames = np.concatenate(pieces)
    frames += 0.2 * rng.standard_normal(frames.shape)
    return Example(frames.astype(np.float32), np.array([TARGET.start, *(4 + letters), TARGET.end]))


def draw(rng: np.random.Generator, count: int) -> Batch:
    return collate([recording(rng) for _ in range(count)], SOURCE, TARGET)


def learned(name: str, settings: dict[str, Any], loss: Any, steps: int, seed: int, rate: float = 3e-3) -> Any:
    """A model after so many updates of 24 recordings."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    plugin = registry.find("models", name)
    model = plugin.build(validate(plugin.Config, settings), SOURCE, TARGET)
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(step / 40, 1.0) * max(1 - step / steps, 0.0))
    scored = registry.find("losses", loss.name).build(loss, TARGET)
    for _ in range(steps):
        batch = draw(rng, 24)
        labels = batch.labels
        mean = scored(model(batch.source, batch.inputs), labels).total / labels.lengths.sum()
        optimizer.zero_grad()
        mean.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model.eval()


def letter_accuracy(model: Any, search: Any, seed: int) -> float:
    """1 - edits / letters, on 200 recordings."""
    from jiwer import process_words

    batch = draw(np.random.default_rng(seed + 1), 200)
    found = search(model, batch.source)
    said = [" ".join(map(str, own[0].elements.tolist())) for own in found]
    truth = [
        " ".join(map(str, row[1 : length - 1].tolist())) for row, length in zip(batch.target.values, batch.target.lengths, strict=True)
    ]
    accuracy = 1 - process_words(truth, said).wer
    print(f"{type(search).__name__}: {accuracy:.4f}")
    return accuracy


CTC = CTCSearch(CTCSearchConfig())
PREFIXES = CTCSearch(CTCSearchConfig(beam_size=5))
GREEDY = GreedySearch(GreedyConfig(limits=LimitsConfig(max_length=12)))
JOINT = BeamSearch(BeamConfig(beam_size=4, ctc_weight=0.3, limits=LimitsConfig(max_length=12)))

PATH = TransducerSearch(TransducerSearchConfig())
STATES = TransducerSearch(TransducerSearchConfig(beam_size=4))

CONFORMER = {"name": "conformer", "dim": 48, "layers": 2, "convolution_kernel": 5, **ENCODER}
ENCODERS = {
    "conformer": {"encoder": CONFORMER, "subsampling": 2},
    "conformer in chunks": {"encoder": CONFORMER, "subsampling": 2, "chunk": 4},
    "conformer in chunks, two before": {"encoder": CONFORMER, "subsampling": 2, "chunk": 4, "left_chunks": 2},
    "transformer": {"encoder": {"name": "transformer", "dim": 48, "layers": 2, **ENCODER}, "subsampling": 4},
    "lstm": {"encoder": {"name": "lstm", "dim": 64, "layers": 1, "dropout": 0.0}, "subsampling": 4, "subsampling_kind": "stack"},
}


def test_tones_are_learned_by_ctc(seed):
    """The fast one."""
    model = learned("encoder_only", {**ENCODERS["conformer"], "subsampling_width": 8}, CTCConfig(), 120, seed)
    assert letter_accuracy(model, CTC, seed) >= 0.97


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_learns_tones_by_ctc(encoder, seed):
    steps = 900 if encoder == "lstm" else 500  # of four frames side by side it hears less exactly where a letter ends
    model = learned("encoder_only", {**ENCODERS[encoder], "subsampling_width": 8}, CTCConfig(), steps, seed)
    assert letter_accuracy(model, CTC, seed) >= 0.99
    assert letter_accuracy(model, PREFIXES, seed) >= 0.99


PREDICTORS = {
    "stateless": {"predictor": {"name": "stateless", "dim": 32, "dropout": 0.0}, "joiner_dim": 48, "subsampling_width": 8},
    "lstm": {"predictor": {"name": "lstm", "dim": 32, "dropout": 0.0}, "joiner_dim": 48, "subsampling_width": 8},
}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("predictor", PREDICTORS)
@pytest.mark.parametrize("encoder", ["conformer", "conformer in chunks", "lstm"])
def test_every_transducer_learns_tones(encoder, predictor, seed):
    """Without CTC beside it: alignments come later, and are a little less exact after as many updates."""
    steps = 900 if encoder == "lstm" else 500
    model = learned("transducer", {**ENCODERS[encoder], **PREDICTORS[predictor]}, TransducerLossConfig(), steps, seed)
    assert letter_accuracy(model, PATH, seed) >= 0.95
    assert letter_accuracy(model, STATES, seed) >= 0.95


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_conformer_learns_tones_jointly(seed):
    settings = {**ENCODER, "dim": 48, "encoder_layers": 2, "decoder_layers": 1, "convolution_kernel": 5, "subsampling": 2}
    model = learned("conformer", {**settings, "subsampling_width": 8, "ctc": True}, JointCTCConfig(label_smoothing=0.05), 450, seed)
    assert letter_accuracy(model, CTC, seed) >= 0.99
    assert letter_accuracy(model, JOINT, seed) >= 0.99
    assert letter_accuracy(model, GREEDY, seed) >= 0.85, "attention alone aligns later"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_listen_attend_and_spell_learns_tones(seed):
    """Attention that sees where it looked, and nothing beside it."""
    settings = {"dim": 64, "embedding_dim": 16, "encoder_layers": 1, "decoder_layers": 1, "subsampling": 2, "attention": "location"}
    model = learned("lstm", {**settings, "subsampling_width": 8, "dropout": 0.0}, CrossEntropyConfig(), 600, seed)
    assert letter_accuracy(model, GREEDY, seed) >= 0.99

"""SpeechBrain's training: its convolutional front end, ConformerEncoder and CTC loss, on the benchmark's batches.

SpeechBrain imports torchaudio, whose releases are tied to a version of torch. Nothing that is measured here uses it, so an empty module
stands in.
"""

import argparse
import importlib.machinery
import itertools
import sys
import types
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
stand_in = types.ModuleType("torchaudio")
stand_in.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
stand_in.__version__ = "0"  # type: ignore[attr-defined]
sys.modules.setdefault("torchaudio", stand_in)

import speech_sizes as sizes  # noqa: E402
from speechbrain.lobes.models.convolution import ConvolutionFrontEnd  # noqa: E402
from speechbrain.lobes.models.transformer.Conformer import ConformerEncoder  # noqa: E402
from speechbrain.nnet.attention import RelPosEncXL  # noqa: E402
from speechbrain.nnet.losses import ctc_loss  # noqa: E402
from worker import Ready, serve  # noqa: E402


class Recognizer(torch.nn.Module):
    """Front end, projection, Conformer, head."""

    def __init__(self, attention: str):
        super().__init__()
        self.front = ConvolutionFrontEnd(
            (None, None, sizes.BINS),
            num_blocks=2,
            num_layers_per_block=1,
            out_channels=[sizes.MAPS, sizes.MAPS],
            kernel_sizes=[3, 3],
            strides=[2, 2],
            residuals=[False, False],
        )
        self.project = torch.nn.Linear(sizes.MAPS * sizes.BINS // 4, sizes.DIM)
        self.encoder = ConformerEncoder(
            num_layers=sizes.LAYERS,
            d_model=sizes.DIM,
            d_ffn=sizes.FEED_FORWARD,
            nhead=sizes.HEADS,
            kernel_size=sizes.KERNEL,
            dropout=0.1,
            attention_type=attention,
        )
        self.positions = RelPosEncXL(sizes.DIM) if attention == "RelPosMHAXL" else None
        self.head = torch.nn.Linear(sizes.DIM, sizes.SYMBOLS)

    def forward(self, frames: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        states = self.project(self.front(frames).flatten(2))
        steps = torch.arange(states.shape[1])
        padding = steps >= (shares * states.shape[1]).round().unsqueeze(1)
        positions = None if self.positions is None else self.positions(states)
        states, _ = self.encoder(states, src_key_padding_mask=padding, pos_embs=positions)
        return self.head(states).log_softmax(-1)


def set_up(settings: argparse.Namespace) -> Ready:
    """The model after an update that nobody times."""
    torch.set_num_threads(settings.threads)
    torch.manual_seed(sizes.SEED)
    model = Recognizer(settings.attention).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    drawn = [tuple(map(torch.from_numpy, one)) for one in sizes.batches(settings.updates, settings.frames)]

    def train(count: int = settings.updates) -> float:
        for frames, lengths, symbols, said in itertools.islice(drawn, count):
            optimizer.zero_grad(set_to_none=True)
            shares = lengths / lengths.max()
            loss = ctc_loss(model(frames, shares), symbols, shares, said / said.max(), sizes.BLANK)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        return float(sum(len(one[0]) for one in drawn[:count]))

    train(1)
    return Ready({"training": train}, sum(parameter.numel() for parameter in model.parameters()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attention", default="RelPosMHAXL")
    parser.add_argument("--frames", type=int, default=4000)
    parser.add_argument("--updates", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    serve(lambda: set_up(chosen))

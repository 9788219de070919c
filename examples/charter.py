"""The 30-line LSTM Seq2Seq on Antiphon's parts: python examples/charter.py [lstm|transformer] [source|memory] (what the decoder reads)."""

import sys

import torch

from antiphon.contracts import registry
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Padded
from antiphon.contracts.specs import ValueSpec


def build(name: str = "lstm", reads: str = "source") -> Seq2SeqModel:
    """A model of width 16 from 5 channels to 1; the decoder's other input channels are "known in advance"."""
    plugin = registry.find("models", name)
    plain = {"bidirectional": False, "bridge": "copy", "attention": "none"} if name == "lstm" else {}
    known = (5 if reads == "source" else 16) - 1
    return plugin.build(plugin.Config(dim=16, dropout=0.0, **plain), ValueSpec(channels=5), ValueSpec(channels=1, known=known))


def train(model: Seq2SeqModel, source: Padded, target: Padded, reads: str = "source", epochs: int = 50) -> list[float]:
    """Full-batch training with Adam; returns the losses. Lengths may differ within the batch."""
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=0.01), []
    for epoch in range(1, epochs + 1):
        memory = model.encode(source)
        output = model.decode(source if reads == "source" else Padded(memory.states, source.lengths), memory)
        loss = (output.values - target.values)[target.mask].square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if epoch % 10 == 0:
            print(f"Epoch [{epoch}/{epochs}], Loss: {losses[-1]:.4f}")
    return losses


if __name__ == "__main__":
    torch.manual_seed(0)
    source, target = (Padded(torch.randn((16, 10, channels)), torch.full((16,), 10)) for channels in (5, 1))
    train(build(*(sys.argv[1:] or ["lstm"])), source, target, *sys.argv[2:3])

"""The charter's program equals the same network in plain PyTorch, and goes on where it stops."""

import pytest
import torch
from torch import Tensor, nn

from antiphon.contracts.sequences import Padded
from examples.charter import build, train


class PlainSeq2Seq(nn.Module):
    """The 30-line original; `decoder_dim` is what the decoder reads: 5 for the source, 16 for the encoder's outputs."""

    def __init__(self, decoder_dim: int):
        super().__init__()
        self.encoder = nn.LSTM(5, 16, batch_first=True)
        self.decoder = nn.LSTM(decoder_dim, 16, batch_first=True)
        self.fc = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        outputs, (hidden, cell) = self.encoder(x)
        outputs, _ = self.decoder(x if self.decoder.input_size == 5 else outputs, (hidden, cell))
        return self.fc(outputs)


def plain_losses(model: PlainSeq2Seq, x: Tensor, y: Tensor) -> list[float]:
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=0.01), []
    for _ in range(50):
        optimizer.zero_grad()
        loss = nn.MSELoss()(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(("reads", "decoder_dim"), [("source", 5), ("memory", 16)])
def test_equals_plain_pytorch(reads: str, decoder_dim: int, seed: int) -> None:
    torch.manual_seed(seed)
    x, y = torch.randn((16, 10, 5)), torch.randn((16, 10, 1))
    ours, plain = build("lstm", reads), PlainSeq2Seq(decoder_dim)
    own = {name.replace("layers.0.", ""): tensor.clone() for name, tensor in ours.state_dict().items()}
    plain.load_state_dict({name: own[name.replace("fc", "head")] for name in plain.state_dict()})
    lengths = torch.full((16,), 10)
    losses = train(ours, Padded(x, lengths), Padded(y, lengths), reads)
    expected = plain_losses(plain, x, y)
    torch.testing.assert_close(torch.tensor(losses[9::10]), torch.tensor(expected[9::10]), rtol=0, atol=1e-5)
    assert losses[-1] < 0.7 * losses[0]


def test_other_lengths_in_one_batch(seed: int) -> None:
    torch.manual_seed(seed)
    lengths = torch.arange(3, 13).repeat(2)
    x, y = Padded(torch.randn((20, 12, 5)), lengths), Padded(torch.randn((20, 12, 1)), lengths)
    for name in ("lstm", "transformer"):
        losses = train(build(name), x, y, epochs=60)
        assert losses[-1] < 0.9 * losses[0]

"""Measure our transducer loss against one that holds all logits: time and memory of a loss with its gradients, in turns.

    python benchmarks/transducer_loss.py
    python benchmarks/transducer_loss.py --vocabulary 30 --symbols 60 --frames 150

The other loss is what torchaudio and warp-transducer ask for: the joiner's logits of all pairs of states and symbols (B, S, U, V), made by
autograd, their log-softmax, and then the same recursion, also by autograd. Both get the same numbers, and their gradients are compared.
`fresh` sides are random ones, where alignments are as uncertain as at the first update; `sharp` ones know which symbol is said when, as
after training. Time is computing time of one thread; memory what the process needed at most, beside what was there before.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from antiphon.layers.lattice import transducer_losses

BLANK = 0


@dataclass(frozen=True)
class Sides:
    """What a loss is given; the first four learn."""

    encoded: Tensor
    predicted: Tensor
    weight: Tensor
    bias: Tensor
    symbols: Tensor
    frames: Tensor
    lengths: Tensor

    @property
    def learning(self) -> tuple[Tensor, ...]:
        return self.encoded, self.predicted, self.weight, self.bias


def sides(batch: int, frames: int, symbols: int, dim: int, vocabulary: int, *, sharp: bool) -> Sides:
    """Rows of 60 to 100 % of the longest, as batches of similar lengths have them."""
    torch.manual_seed(1)
    states = torch.linspace(0.6, 1.0, batch).mul(frames).long()
    lengths = torch.linspace(1.0, 0.6, batch).mul(symbols).long()
    said = torch.randint(1, vocabulary, (batch, symbols))
    weight, bias = nn.Linear(dim, vocabulary).weight.data, nn.Linear(1, vocabulary).bias.data
    encoded, predicted = 0.5 * torch.randn(batch, frames, dim), 0.5 * torch.randn(batch, symbols + 1, dim)
    if sharp:  # each symbol at its state, evenly spread, and blanks between them
        for row in range(batch):
            encoded[row] += 6 * weight[BLANK]
            for place in range(int(lengths[row])):
                state = (2 * place + 1) * int(states[row]) // (2 * int(lengths[row]))
                encoded[row, state] += 20 * weight[said[row, place]] - 12 * weight[BLANK]
                predicted[row, place] += 6 * weight[said[row, place]]
                predicted[row, place + 1] -= 12 * weight[said[row, place]]
        weight = 4 * weight
    learning = (tensor.detach().clone().requires_grad_() for tensor in (encoded, predicted, weight, bias))
    return Sides(*learning, said, states, lengths)


def ours(given: Sides) -> Tensor:
    """The loss of the package."""
    return transducer_losses(*given.learning, given.symbols, given.frames, given.lengths, BLANK)


def plain(given: Sides) -> Tensor:
    """All logits, their log-softmax and the recursion, by autograd."""
    logits = torch.tanh(given.encoded.unsqueeze(2) + given.predicted.unsqueeze(1)) @ given.weight.T + given.bias
    log_probs = logits.log_softmax(-1)
    blank = log_probs[..., BLANK]
    index = given.symbols[:, None, :, None].expand(-1, blank.shape[1], -1, -1)
    label = log_probs[:, :, :-1].gather(3, index).squeeze(3)
    so_far = torch.nn.functional.pad(blank[:, :-1].double().cumsum(1), (0, 0, 1, 0))
    columns = [so_far[..., 0]]
    for symbol in range(1, blank.shape[2]):
        arriving = columns[-1] + label[..., symbol - 1] - so_far[..., symbol]
        columns.append(arriving.logcumsumexp(1) + so_far[..., symbol])
    scores = torch.stack(columns, dim=2)
    last = (torch.arange(len(scores)), given.frames - 1, given.lengths)
    return -(scores[last] + blank[last])


def learned(loss: Callable[[Sides], Tensor], given: Sides) -> list[Tensor]:
    """The gradients of the summed loss."""
    return list(torch.autograd.grad(loss(given).sum(), given.learning))


def peak_megabytes(work: Callable[[], object]) -> float:
    """How far the process grows while it works."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    work()
    return (_status("VmHWM") - before) / 1024


def _status(field: str) -> int:
    """Kilobytes."""
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field + ":"))


def measure(given: Sides, rounds: int) -> str:
    """One line of the table."""
    for found, expected in zip(learned(ours, given), learned(plain, given), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(rounds):
        for name, loss in (("ours", ours), ("plain", plain)):
            begin = time.process_time()
            learned(loss, given)
            seconds[name].append(time.process_time() - begin)
    memory = {name: peak_megabytes(lambda loss=loss: learned(loss, given)) for name, loss in (("ours", ours), ("plain", plain))}
    mine, other = (statistics.median(seconds[name]) for name in ("ours", "plain"))
    ratio = statistics.median(slow / fast for fast, slow in zip(seconds["ours"], seconds["plain"], strict=True))
    share = memory["ours"] / memory["plain"]
    return f"{mine * 1000:.0f} ms | {other * 1000:.0f} ms | {ratio:.2f} | {memory['ours']:.0f} MB | {memory['plain']:.0f} MB | {share:.2f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and print a table."""
    parser = argparse.ArgumentParser(description="Time and memory of our transducer loss, and of one that holds all logits.")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--frames", type=int, default=120, help="states of the encoder of the longest row")
    parser.add_argument("--symbols", type=int, default=30, help="of the longest target")
    parser.add_argument("--dim", type=int, default=256, help="width of the joiner")
    parser.add_argument("--vocabulary", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print("| sides | ours | plain | speed | memory | plain | share |\n|---|---|---|---|---|---|---|")
    for sharp in (False, True):
        made = sides(given.batch, given.frames, given.symbols, given.dim, given.vocabulary, sharp=sharp)
        print(f"| {'sharp' if sharp else 'fresh'} | {measure(made, given.rounds)} |", flush=True)


if __name__ == "__main__":
    main()

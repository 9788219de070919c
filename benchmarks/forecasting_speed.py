"""Training speed of our forecasters and of their peers, in turns: updates per second, parameters, peak memory.

    python benchmarks/forecasting_speed.py

An LSTM 128 wide and a Transformer 128 wide with 2 + 2 layers; 96 steps in, 24 out; batches of 32 windows; float32. Plain PyTorch always
takes part, NeuralForecast and Darts when their environment is there (benchmarks/peers/install .venv-peers forecasting).

Equal: the series, the widths and depths, mean absolute error, no dropout, fused AdamW, clipping, windows scaled one by one, nothing logged,
validated or saved. Each is timed in its own training loop with its own loader: ours that of `antiphon train`, theirs that of `fit`.

Not equal: what an LSTM forecaster is. Ours and plain PyTorch's have an encoder and a decoder (120 steps of a cell for a window). Darts'
RNNModel has one LSTM for both (120 steps, half of the weights): of Darts' two it is the like-for-like one. Darts' BlockRNNModel and
NeuralForecast's LSTM only have the encoder (96 steps, half of the weights) with linear layers on top. RNNModel learns from all 120 steps,
and has its series scaled beforehand. NeuralForecast makes all windows of 32 series for each batch that it draws from them. Antiphon's LSTM
with attention is what a recipe with `model: lstm` gets: it has more to do than the others, and stands there so that nobody is misled.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from turns import ROOT, Measured, System, machine, table, take_turns, versions

SHIPPED = ROOT / "examples" / "data" / "employment" / "train.csv.gz"
CONTEXT, HORIZON = 96, 24
LSTM, TRANSFORMER = "Antiphon LSTM", "Antiphon Transformer"
OURS = {LSTM: "lstm", "Antiphon LSTM, bidirectional, attention": "lstm-attention", TRANSFORMER: "transformer"}
PLAIN = {"plain PyTorch nn.LSTM": "lstm", "plain PyTorch nn.Transformer": "transformer"}
NEURALFORECAST = {"NeuralForecast LSTM (encoder only)": "lstm", "NeuralForecast VanillaTransformer": "transformer"}
DARTS = {
    "Darts RNNModel, LSTM": "rnn",
    "Darts BlockRNNModel, LSTM (encoder only)": "block-rnn",
    "Darts TransformerModel": "transformer",
}


def systems(peers: Path, settings: argparse.Namespace) -> list[System]:
    """Who takes part."""
    sizes = {"context": CONTEXT, "horizon": HORIZON, "rows": settings.rows, "updates": settings.updates, "threads": settings.threads}
    told = (f"--data={settings.data}", *(f"--{name}={value}" for name, value in sizes.items()))

    def made(models: Mapping[str, str], program: str, *arguments: str, python: str = sys.executable) -> list[System]:
        return [System(name, program, (*told, f"--model={model}", *arguments), python, settings.threads) for name, model in models.items()]

    ours = [
        replace(system, arguments=(*system.arguments, f"--cache={settings.cache / str(number)}"))
        for number, system in enumerate(made(OURS, "own_forecasting.py"))
    ]
    found = [*ours, *made(PLAIN, "peers/plain_forecasting.py")]
    if peers.exists():
        found += made(NEURALFORECAST, "peers/neuralforecast_training.py", python=str(peers))
        found += made(DARTS, "peers/darts_training.py", python=str(peers))
    else:
        print(f"{peers} is missing: NeuralForecast and Darts are left out (benchmarks/peers/install)", file=sys.stderr)
    if settings.against:
        found += [replace(system, name=system.name.replace("Antiphon", "Antiphon before:"), checkout=settings.against) for system in ours]
    chosen = [system for system in found if settings.only.lower() in system.name.lower()]
    return chosen or sys.exit(f"No system's name contains {settings.only!r}.")


def tables(found: Mapping[str, Measured], unit: str) -> str:
    """One table for LSTMs and one for Transformers."""
    transformers = {name: measured for name, measured in found.items() if "Transformer" in name}
    lstms = {name: measured for name, measured in found.items() if name not in transformers}
    parts = [(lstms, LSTM), (transformers, TRANSFORMER)]
    return "\n\n".join(table(part, unit, ours if ours in part else next(iter(part))) for part, ours in parts if part)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=SHIPPED, help="monthly series without gaps, as CSV with the columns unique_id, ds and y"
    )
    parser.add_argument("--rows", type=int, default=32, help="windows of a batch")
    parser.add_argument("--updates", type=int, default=50, help="timed updates of a turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each system")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu counts computing time, for a machine that is shared")
    parser.add_argument("--only", default="", help="only systems whose name contains this")
    parser.add_argument("--against", type=Path, default=None, help="another checkout of this project, to compare with")
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv-peers", help="environments with the peers: FOLDER-forecasting")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "benchmarks" / "windows", help="folder for encoded series")
    settings = parser.parse_args()
    place, python = machine(), Path(f"{settings.peers}-forecasting") / "bin" / "python"
    found = take_turns(systems(python, settings), settings.rounds, settings.clock)
    theirs = versions(str(python), ["torch", "pytorch-lightning", "neuralforecast", "darts"]) if python.exists() else "none"
    print(f"{place}; {versions(sys.executable, ['torch'])}; peers: {theirs}")
    print(
        f"{settings.threads} threads, {settings.rounds} rounds of {settings.updates} updates on {settings.rows} windows,"
        f" {CONTEXT} steps in and {HORIZON} out"
    )
    print()
    print(tables(found, f"updates per {settings.clock} second (ratio)"))


if __name__ == "__main__":
    main()

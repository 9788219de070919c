"""Training speed of our models and of their peers, in turns: target tokens per second without padding, peak memory.

    python benchmarks/training_speed.py --data train.tsv.gz --source en --target de

Without --data, the translation data that ships with the project. The peers from other packages take part when their environment is there
(benchmarks/peers/install); plain PyTorch always does. Everybody's threads sleep while they wait; --spinning shows what that is worth.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from encoding import ROOT, SHIPPED, prepare, specs, write_batches
from turns import System, asleep_and_spinning, machine, table, take_turns, versions

OURS = "Antiphon Transformer, fp32"


def systems(folder: Path, batches: Path, peers: Path, eole: Path, settings: argparse.Namespace) -> list[System]:
    """Who takes part."""
    _, target = specs(folder)
    threads = settings.threads
    ours = (f"--folder={folder}", f"--target-tokens={settings.target_tokens}", f"--updates={settings.updates}", f"--threads={threads}")
    symbols = (f"--symbols={target.size}", f"--pad={target.pad}", f"--start={target.start}", f"--end={target.end}")
    theirs = (f"--batches={batches}", *symbols, f"--threads={threads}")
    found = [
        System(OURS, "own_training.py", ours, threads=threads),
        System("plain PyTorch Transformer, fp32", "peers/plain_transformer.py", theirs, threads=threads),
        System("Antiphon Transformer, bf16", "own_training.py", (*ours, "--precision=bf16"), threads=threads),
        System("Antiphon Transformer, bf16 weights", "own_training.py", (*ours, "--precision=bf16_weights"), threads=threads),
        System("plain PyTorch Transformer, bf16", "peers/plain_transformer.py", (*theirs, "--precision=bf16"), threads=threads),
        System("Antiphon LSTM, fp32", "own_training.py", (*ours, "--model=lstm"), threads=threads),
        System("plain PyTorch LSTM, fp32", "peers/plain_lstm.py", theirs, threads=threads),
    ]
    if peers.exists():
        found.append(System("transformers Marian, fp32", "peers/marian_training.py", theirs, str(peers), threads))
    else:
        print(f"{peers} is missing: transformers is left out (benchmarks/peers/install)", file=sys.stderr)
    if eole.exists():
        found.append(System("eole, fp32", "peers/eole_training.py", theirs, str(eole), threads))
        found.append(System("eole, bf16", "peers/eole_training.py", (*theirs, "--precision=bf16"), str(eole), threads))
    else:
        print(f"{eole} is missing: eole is left out (benchmarks/peers/install .venv-peers eole)", file=sys.stderr)
    if settings.against:
        for system in [one for one in found if one.program == "own_training.py"]:
            found.append(replace(system, name=system.name.replace("Antiphon", "Antiphon before:"), checkout=settings.against))
    chosen = [system for system in found if settings.only.lower() in system.name.lower()]
    if settings.spinning:
        chosen = [variant for system in chosen for variant in asleep_and_spinning(system)]
    return chosen or sys.exit(f"No system's name contains {settings.only!r}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHIPPED, help="file with a column for each language")
    parser.add_argument("--source", default="en", help="column with the source text")
    parser.add_argument("--target", default="de", help="column with the target text")
    parser.add_argument("--target-tokens", type=int, default=4096, help="target tokens of a batch")
    parser.add_argument("--updates", type=int, default=5, help="timed updates of a turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each system")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu counts computing time, for a machine that is shared")
    parser.add_argument("--spinning", action="store_true", help="each also with threads that spin while they wait, alone and two at once")
    parser.add_argument("--only", default="", help="only systems whose name contains this")
    parser.add_argument("--against", type=Path, default=None, help="another checkout of this project, to compare with")
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv-peers", help="environment with the peers; eole is in FOLDER-eole")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "benchmarks", help="folder for encoded data")
    settings = parser.parse_args()
    place, python = machine(), settings.peers / "bin" / "python"
    eole = Path(f"{settings.peers}-eole") / "bin" / "python"
    folder = prepare(settings.data, settings.source, settings.target, settings.cache)
    batches = write_batches(folder, settings.target_tokens, settings.updates)
    found = take_turns(systems(folder, batches, python, eole, settings), settings.rounds, settings.clock)
    theirs = [versions(str(one), ["torch", "transformers", "eole"]) for one in (python, eole) if one.exists()]
    print(f"{place}; {versions(sys.executable, ['torch'])}; peers: {'; '.join(theirs) or 'none'}")
    print(f"{settings.threads} threads, {settings.rounds} rounds of {settings.updates} updates on about {settings.target_tokens} tokens")
    print()
    print(table(found, f"target tokens per {settings.clock} second (ratio)", OURS if OURS in found else next(iter(found))))


if __name__ == "__main__":
    main()

"""Speech: training speed and memory of our Conformer with CTC and of SpeechBrain's, in turns; and how fast our searches are.

    python benchmarks/speech_speed.py

Same layers, widths, front end and batches, fp32. The peer takes part when its environment is there (benchmarks/peers/install).
Decoding is in seconds of sound for a second of computing: the real-time factor is one over it.
"""

import argparse
import sys
from pathlib import Path

from encoding import ROOT
from turns import System, machine, table, take_turns, versions

OURS = "Antiphon, relative positions"


def systems(peers: Path, settings: argparse.Namespace) -> list[System]:
    """Who trains."""
    threads, work = settings.threads, (f"--frames={settings.frames}", f"--updates={settings.updates}", f"--threads={settings.threads}")
    own = ("--kind=training", *work)
    found = [
        System(OURS, "own_speech.py", (*own, "--positions=relative"), threads=threads),
        System("Antiphon, rotary positions (our default)", "own_speech.py", own, threads=threads),
    ]
    if not peers.exists():
        print(f"{peers} is missing: SpeechBrain is left out (benchmarks/peers/install)", file=sys.stderr)
        return found
    return [found[0], System("SpeechBrain, relative positions", "peers/speechbrain_training.py", work, str(peers), threads), found[1]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=4000, help="frames of a batch, padding included")
    parser.add_argument("--updates", type=int, default=2, help="timed updates of a turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each system")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--utterances", type=int, default=2, help="utterances that are decoded at once")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu counts computing time, for a machine that is shared")
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv-peers-speech", help="environment with SpeechBrain")
    settings = parser.parse_args()
    place, python = machine(), settings.peers / "bin" / "python"
    trained = take_turns(systems(python, settings), settings.rounds, settings.clock)
    searching = System(
        "Antiphon",
        "own_speech.py",
        ("--kind=decoding", f"--utterances={settings.utterances}", f"--threads={settings.threads}"),
        threads=settings.threads,
    )
    decoded = take_turns([searching], settings.rounds, settings.clock)
    theirs = versions(str(python), ["speechbrain", "torch"]) if python.exists() else "none"
    print(f"{place}; {versions(sys.executable, ['torch'])}; peer: {theirs}")
    print(f"{settings.threads} thread, {settings.rounds} rounds of {settings.updates} updates on about {settings.frames} frames\n")
    print(table(trained, f"utterances per {settings.clock} second (ratio)", OURS))
    print(f"\n{settings.utterances} utterances of 6 s at once\n")
    print(table(decoded, f"seconds of sound per {settings.clock} second", "Antiphon"))


if __name__ == "__main__":
    main()

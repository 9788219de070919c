"""Whisper through its exports, and faster-whisper with the same weights: words wrong, and seconds of sound in a second, in turns.

    python benchmarks/whisper.py queen.test.tsv onnx-fp32 onnx-int8 ctranslate2-int8
    python benchmarks/whisper.py queen.test.tsv onnx-fp32 ctranslate2-int8 --faster-whisper ctranslate2_folder

The table has the columns audio (a file), text and seconds. Each system recognizes every recording once: a slice of them in each round.
Words are compared as `wer_normalized` does, and each system with the first folder, with bootstrap intervals over recordings.
"""

import argparse
import csv
import json
import sys
import tempfile
from pathlib import Path

from encoding import ROOT
from turns import System, machine, table, take_turns, versions

from antiphon.contracts import registry
from antiphon.metrics.significance import compare


def systems(settings: argparse.Namespace, place: Path) -> list[System]:
    """Who takes part."""
    given = (f"--table={settings.table.absolute()}", f"--rounds={settings.rounds}")
    found = [
        System(folder.name, "own_recordings.py", (*given, f"--folder={folder.absolute()}", f"--out={place / folder.name}"))
        for folder in settings.folders
    ]
    for compute in settings.compute if settings.faster_whisper is not None else ():
        name = f"faster-whisper {compute}"
        own = (f"--folder={settings.faster_whisper}", f"--compute-type={compute}", f"--out={place / name}")
        found.append(System(name, "peers/faster_whisper_recognition.py", (*given, *own), str(settings.peer)))
    return found


def words_wrong(settings: argparse.Namespace, names: list[str], place: Path) -> str:
    """A Markdown table."""
    with open(settings.table, encoding="utf-8", newline="") as file:
        said = {row["audio"]: row["text"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}
    heard = {name: dict(json.loads(line) for line in (place / name).read_text(encoding="utf-8").splitlines()) for name in names}
    metric = registry.find("metrics", "wer_normalized")
    references = [[text] for text in said.values()]
    first = [heard[names[0]][path] for path in said]
    lines = ["| | words wrong | difference | equal texts |", "|---|---|---|---|"]
    for name in names:
        own = [heard[name][path] for path in said]
        one = compare(metric, first, own, references, resamples=4000)
        equal = sum(map(str.__eq__, first, own))
        wrong = f"{one.b.value:.1f} ({one.b.low:.1f} to {one.b.high:.1f})"
        lines.append(f"| {name} | {wrong} | {one.difference:+.2f} ({one.low:+.2f} to {one.high:+.2f}) | {equal} of {len(said)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="columns audio, text and seconds")
    parser.add_argument("folders", type=Path, nargs="+", help="exported folders or runs; the first is what others are compared with")
    parser.add_argument("--faster-whisper", type=Path, default=None, help="the folder that faster-whisper opens")
    parser.add_argument("--compute", nargs="*", default=("float32", "int8"), help="its types of computing")
    parser.add_argument("--peer", type=Path, default=ROOT / ".venv-peers-whisper" / "bin" / "python", help="a Python with faster-whisper")
    parser.add_argument("--texts", type=Path, default=None, help="a folder to keep in what each wrote")
    parser.add_argument("--rounds", type=int, default=6, help="turns of each")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="cpu", help="cpu counts computing time, for a machine that is shared")
    settings = parser.parse_args()
    where = machine()
    with tempfile.TemporaryDirectory() as made:
        place = settings.texts or Path(made)
        place.mkdir(exist_ok=True)
        taking_part = systems(settings, place)
        found = take_turns(taking_part, settings.rounds, settings.clock)
        print(f"{where}; {versions(sys.executable, ['torch', 'onnxruntime', 'ctranslate2'])}")
        print(f"one thread, {settings.rounds} rounds\n")
        print(table(found, f"seconds of sound in a {settings.clock} second (ratio)", settings.folders[0].name), end="\n\n")
        print(words_wrong(settings, [one.name for one in taking_part], place))


if __name__ == "__main__":
    main()

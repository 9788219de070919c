#!/usr/bin/env python3
"""Spoken digits: tables and recordings of "three zero five", in many voices, of which some are heard in the test only.

    python digits.py OUT                    writes OUT/{train,validation,test}.tsv, OUT/clips/*.flac and OUT/talk.flac
    python digits.py OUT --train 200        with fewer recordings to learn from

With `espeak-ng` at hand it speaks whole utterances, so that neighbouring words run into each other. Without it, single digits that
espeak-ng once spoke (examples/data/speech/digits.zip) are put one after another, which is easier. `--single` uses those anyway.

Needs: pip install 'antiphon[audio]'. The same arguments give the same texts, and with one version of espeak-ng the same sound.
"""

import argparse
import csv
import io
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RATE = 8000  # samples a second, as on the telephone
ACCENTS = ("en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-029")
# A voice is the shape of a throat; every voice speaks with every accent.
VOICES = {"train": ("m1", "m2", "m3", "m4", "m5", "m6", "f1", "f2", "f3"), "validation": ("m8", "f5"), "test": ("m7", "f4")}
SINGLE_DIGITS = Path(__file__).resolve().parents[2] / "examples" / "data" / "speech" / "digits.zip"
MOST_DIGITS = 7

Speak = Callable[[Sequence[str], str, np.random.Generator], np.ndarray]
"""Words in a voice, with a speed and a pitch drawn by the generator: samples (N,) at `RATE`."""


class PreparationError(Exception):
    """What the user can set right."""


def speak(words: Sequence[str], voice: str, draw: np.random.Generator) -> np.ndarray:
    """A whole utterance by espeak-ng."""
    accent = ACCENTS[draw.integers(len(ACCENTS))]
    command = ["espeak-ng", "-v", f"{accent}+{voice}", "-s", str(draw.integers(130, 190)), "-p", str(draw.integers(35, 66)), "--stdout"]
    done = subprocess.run([*command, " ".join(words)], capture_output=True, check=False)
    if done.returncode or not done.stdout:
        raise PreparationError(f"espeak-ng could not speak as {accent}+{voice}: {done.stderr.decode(errors='replace').strip()}")
    header, data = done.stdout[:44], done.stdout[44:]  # the header's sizes are not those of what was piped
    return np.asarray(
        soxr.resample(np.frombuffer(data, dtype="<i2").astype(np.float32) / 2**15, int.from_bytes(header[24:28], "little"), RATE)
    )


def single_digits(path: Path) -> Speak:
    """Words out of a zip of single digits, `VOICE/word-N.flac`, one after another with short pauses."""
    if not path.is_file():
        raise PreparationError(f"There is neither espeak-ng nor {path}. Install espeak-ng (apt-get install espeak-ng).")
    clips: dict[tuple[str, str], list[np.ndarray]] = {}
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".flac"):
                voice, _, word = name.removesuffix(".flac").partition("/")
                samples, rate = soundfile.read(io.BytesIO(archive.read(name)), dtype="float32")
                assert rate == RATE, name
                clips.setdefault((voice, word.partition("-")[0]), []).append(samples)

    def put_together(words: Sequence[str], voice: str, draw: np.random.Generator) -> np.ndarray:
        parts = []
        for word in words:
            known = clips[voice, word]
            parts += [known[draw.integers(len(known))], np.zeros(draw.integers(RATE // 50, RATE // 8), dtype=np.float32)]
        return np.concatenate(parts[:-1])

    return put_together


def utterances(split: str, count: int, speaker: Speak, seed: int) -> Iterator[tuple[list[str], str, np.ndarray]]:
    """(words, voice, samples): one to seven digits, with silence around, at some level, with a little noise."""
    for number in range(count):
        draw = np.random.default_rng((seed, tuple(VOICES).index(split), number))
        voice = VOICES[split][number % len(VOICES[split])]
        words = [WORDS[digit] for digit in draw.integers(10, size=draw.integers(1, MOST_DIGITS + 1))]
        sound = speaker(words, voice, draw)
        around = [np.zeros(draw.integers(RATE // 20, RATE // 5), dtype=np.float32) for _ in range(2)]
        samples = np.concatenate([around[0], sound, around[1]]) * 10 ** (draw.uniform(-12, 0) / 20)
        yield words, voice, samples + draw.normal(0, 10 ** (draw.uniform(-60, -45) / 20), len(samples))


def write(out: Path, counts: dict[str, int], speaker: Speak, seed: int) -> None:
    """Recordings, their tables, and a longer one out of those of the test, with pauses."""
    (out / "clips").mkdir(parents=True, exist_ok=True)
    talk: list[np.ndarray] = []
    spoken: list[str] = []
    for split, count in counts.items():
        rows = [("audio", "text", "speaker")]
        for number, (words, voice, samples) in enumerate(utterances(split, count, speaker, seed)):
            name = f"clips/{split}-{number:05}.flac"
            soundfile.write(out / name, np.clip(samples, -1, 1), RATE, subtype="PCM_16")
            rows.append((name, " ".join(words), voice))
            if split == "test" and number % len(VOICES["test"]) == 0 and len(talk) < 12:
                quiet = np.random.default_rng((seed, number)).normal(0, 1e-3, RATE)
                talk += [samples, quiet]
                spoken.append(" ".join(words))
        with open(out / f"{split}.tsv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter="\t", lineterminator="\n").writerows(rows)
        print(f"{split}: {count} recordings of {len(VOICES[split])} voices")
    soundfile.write(out / "talk.flac", np.clip(np.concatenate(talk), -1, 1), RATE, subtype="PCM_16")
    (out / "talk.txt").write_text(" ".join(spoken) + "\n", encoding="utf-8")


def write_single_digits(path: Path) -> None:
    """Let espeak-ng speak each digit alone, in each voice: what `SINGLE_DIGITS` holds."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for place, voice in enumerate(voice for voices in VOICES.values() for voice in voices):
            for digit, word in enumerate(WORDS):
                for take in range(1):
                    samples = speak([word], voice, np.random.default_rng((place, digit, take)))
                    loud = np.flatnonzero(np.abs(samples) > 0.01)
                    file = io.BytesIO()
                    soundfile.write(file, samples[loud[0] : loud[-1] + 1], RATE, format="FLAC", subtype="PCM_16")
                    archive.writestr(zipfile.ZipInfo(f"{voice}/{word}-{take}.flac"), file.getvalue())


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and write the recordings."""
    parser = argparse.ArgumentParser(description="Make recordings of spoken digits, with tables of what is said.")
    parser.add_argument("out", type=Path, help="folder to write to; with --make-single, the zip")
    parser.add_argument("--train", type=int, default=2000, help="recordings to learn from")
    parser.add_argument("--validation", type=int, default=100)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--single", action="store_true", help="put single digits together, also where espeak-ng is at hand")
    parser.add_argument("--make-single", action="store_true", help="write the zip of single digits instead")
    given = parser.parse_args(arguments)
    try:
        if min(given.train, given.validation, given.test) < 1:
            raise PreparationError("`--train`, `--validation` and `--test` must be at least 1.")
        if given.make_single:
            write_single_digits(given.out)
            return
        has_espeak = shutil.which("espeak-ng") is not None and not given.single
        print("espeak-ng speaks whole utterances." if has_espeak else "Single digits of espeak-ng are put one after another.")
        speaker = speak if has_espeak else single_digits(SINGLE_DIGITS)
        write(given.out, {"train": given.train, "validation": given.validation, "test": given.test}, speaker, given.seed)
    except (PreparationError, OSError) as error:
        sys.exit(f"digits.py: {error}")


if __name__ == "__main__":
    main()

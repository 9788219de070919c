#!/usr/bin/env python3
"""Spoken English appointments with their German translations: "my sister arrives on Friday at half past three" is heard, and what is to be
written is "meine Schwester kommt am Freitag um halb vier an".

    python appointments.py OUT              writes OUT/{train,validation,test}.tsv and OUT/clips/*.flac

The other language is no other wording of the same: half past three is half of the fourth hour, verbs part with their prefixes, which go to
the end, and what is one word may be two. Voices and sentences of validation and test are never heard in training.

Needs: espeak-ng, and pip install 'antiphon[audio]'. The same arguments give the same texts, and with one espeak-ng the same sound.
"""

import argparse
import csv
import itertools
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
from digits import RATE, VOICES, PreparationError, speak

WHO = (
    ("my sister", "meine Schwester"),
    ("my brother", "mein Bruder"),
    ("our teacher", "unser Lehrer"),
    ("the doctor", "der Arzt"),
    ("the plumber", "der Klempner"),
    ("your friend", "dein Freund"),
    ("Anna", "Anna"),
    ("the guest", "der Gast"),
)
DOES = (
    ("arrives", "kommt", "an"),
    ("comes back", "kommt", "zurück"),
    ("leaves", "reist", "ab"),
    ("calls", "ruft", "an"),
    ("gets up", "steht", "auf"),
    ("starts", "fängt", "an"),
    ("waits", "wartet", ""),
    ("works", "arbeitet", ""),
)
DAYS = (
    ("Monday", "Montag"),
    ("Tuesday", "Dienstag"),
    ("Wednesday", "Mittwoch"),
    ("Thursday", "Donnerstag"),
    ("Friday", "Freitag"),
    ("Saturday", "Samstag"),
    ("Sunday", "Sonntag"),
)
HOURS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
STUNDEN = ("eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf")


def times() -> Iterator[tuple[str, str]]:
    """The times of the clock that people say."""
    for hour, (name, stunde) in enumerate(zip(HOURS, STUNDEN, strict=True)):
        yield f"{name} o'clock", f"{'ein' if hour == 0 else stunde} Uhr"
        yield f"half past {name}", f"halb {STUNDEN[(hour + 1) % 12]}"
        yield f"a quarter past {name}", f"Viertel nach {stunde}"
        yield f"a quarter to {name}", f"Viertel vor {stunde}"
        yield f"ten past {name}", f"zehn nach {stunde}"
        yield f"twenty to {name}", f"zwanzig vor {stunde}"


def sentences(seed: int) -> list[tuple[str, str]]:
    """All that can be said, in random order: (English, German)."""
    found = [
        (f"{who} {does} on {day} at {time}", " ".join(f"{wer} {tut} am {tag} um {zeit} {vorsilbe}".split()))
        for (who, wer), (does, tut, vorsilbe), (day, tag), (time, zeit) in itertools.product(WHO, DOES, DAYS, times())
    ]
    return [found[place] for place in np.random.default_rng(seed).permutation(len(found))]


def write(out: Path, counts: dict[str, int], seed: int) -> None:
    """Recordings, and their tables."""
    (out / "clips").mkdir(parents=True, exist_ok=True)
    said = iter(sentences(seed))
    for split, count in counts.items():
        rows = [("audio", "text", "english", "speaker")]
        for number in range(count):
            english, german = next(said)
            draw = np.random.default_rng((seed, tuple(VOICES).index(split), number))
            voice = VOICES[split][number % len(VOICES[split])]
            around = [np.zeros(draw.integers(RATE // 20, RATE // 5), dtype=np.float32) for _ in range(2)]
            samples = np.concatenate([around[0], speak(english.split(), voice, draw), around[1]]) * 10 ** (draw.uniform(-12, 0) / 20)
            samples = samples + draw.normal(0, 10 ** (draw.uniform(-60, -45) / 20), len(samples))
            name = f"clips/{split}-{number:05}.flac"
            soundfile.write(out / name, np.clip(samples, -1, 1), RATE, subtype="PCM_16")
            rows.append((name, german, english, voice))
        with open(out / f"{split}.tsv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter="\t", lineterminator="\n").writerows(rows)
        print(f"{split}: {count} recordings of {len(VOICES[split])} voices")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and write the recordings."""
    parser = argparse.ArgumentParser(description="Make recordings of English appointments, with tables of their German translations.")
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--train", type=int, default=3000, help="recordings to learn from")
    parser.add_argument("--validation", type=int, default=100)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    try:
        if min(given.train, given.validation, given.test) < 1:
            raise PreparationError("`--train`, `--validation` and `--test` must be at least 1.")
        if shutil.which("espeak-ng") is None:
            raise PreparationError("espeak-ng speaks the sentences, but is not there. Install it (apt-get install espeak-ng).")
        write(given.out, {"train": given.train, "validation": given.validation, "test": given.test}, given.seed)
    except (PreparationError, OSError) as error:
        sys.exit(f"appointments.py: {error}")


if __name__ == "__main__":
    main()

#!/usr/bin/env bash
# soundfile 0.14.0 with libsndfile 1.2.2, on an OGG Vorbis file that it has written itself.
#
# Expected: `seek(n)` and `read()` give the samples from n on, as reading the whole file and cutting it there does.
# Seen: this holds up to the last page of the file. A seek into the last page lands late (by 128 samples at 16 kHz, 368 at 44.1 kHz), apparently
# by what the encoder's padding was trimmed by; the number of samples that are read is right all the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" -q install soundfile==0.14.0 numpy==2.4.6
"$folder/env/bin/python" - "$folder" <<'P'
import sys

import numpy as np
import soundfile

path = sys.argv[1] + "/noise.ogg"
samples = np.random.default_rng(1).standard_normal(20 * 16000) * 0.1 * np.linspace(1, 0.02, 20 * 16000)
soundfile.write(path, samples.astype(np.float32), 16000, format="OGG", subtype="VORBIS")
whole, _ = soundfile.read(path, dtype="float32")


def shift(start: int) -> int:
    """Where what is read from `start` on really begins, behind `start`."""
    with soundfile.SoundFile(path) as file:
        file.seek(start)
        part = file.read(1600, dtype="float32")
    errors = {by: float(np.abs(whole[start + by : start + by + 1200] - part[:1200]).mean()) for by in range(-600, 601) if start + by + 1200 <= len(whole)}
    return min(errors, key=errors.get)


early, late = [shift(start) for start in (16000, 8 * 16000)], shift(len(whole) - 3200)
print(soundfile.__version__, soundfile.__libsndfile_version__, "shift of seeks in the middle:", early, "and in the last page:", late)
assert early == [0, 0], "seeks before the last page are not exact"
assert late != 0, "seeks into the last page are exact now"
P

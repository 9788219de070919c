#!/usr/bin/env bash
# soundfile 0.14.0 with libsndfile 1.2.2, on two OGG Vorbis files of one rate that were joined with `cat`, which the format allows
# (RFC 3533 calls it chaining).
#
# Expected: both recordings, or an error.
# Seen: at 16 kHz the file is the first recording alone, with its length, and nothing says that half of the file was left out.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" -q install soundfile==0.14.0 numpy==2.4.6
"$folder/env/bin/python" - "$folder" <<'P'
import sys
from pathlib import Path

import numpy as np
import soundfile

folder = Path(sys.argv[1])
for number in range(2):
    tone = 0.3 * np.sin(2 * np.pi * (300 + 200 * number) * np.arange(3 * 16000) / 16000)
    soundfile.write(folder / f"{number}.ogg", tone.astype(np.float32), 16000, format="OGG", subtype="VORBIS")
joined = folder / "joined.ogg"
joined.write_bytes((folder / "0.ogg").read_bytes() + (folder / "1.ogg").read_bytes())
samples, rate = soundfile.read(joined)
print(soundfile.__version__, soundfile.__libsndfile_version__, "seconds read of 6:", len(samples) / rate, "seconds told:", soundfile.info(joined).duration)
assert abs(len(samples) / rate - 3) < 0.1, "more than the first recording is read now"
P

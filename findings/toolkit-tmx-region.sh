#!/usr/bin/env bash
# translate-toolkit 3.20.4, on a translation memory (TMX 1.4) whose header says `srclang="en-GB"`, opened for the languages `en` and `de`.
#
# Expected: both texts of the unit, as `en` names all variants of English (RFC 4647, basic filtering); or an error.
# Seen: both are None, so a program that takes pairs gets pairs of nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" -q install translate-toolkit==3.20.4 lxml==6.1.3
"$folder/env/bin/python" - <<'P'
from io import BytesIO

import translate.__version__
from translate.storage import tmx

unit = '<tu><tuv xml:lang="en-GB"><seg>Colour</seg></tuv><tuv xml:lang="de-AT"><seg>Farbe</seg></tuv></tu>'
content = f'<?xml version="1.0"?><tmx version="1.4"><header srclang="en-GB"/><body>{unit}</body></tmx>'.encode()
found = [(one.source, one.target) for one in tmx.tmxfile(BytesIO(content), "en", "de").units]
print(translate.__version__.sver, "en, de:", found, "en-GB, de-AT:", [(one.source, one.target) for one in tmx.tmxfile(BytesIO(content), "en-GB", "de-AT").units])
assert found == [(None, None)], "texts are found by their language now"
P

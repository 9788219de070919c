#!/usr/bin/env bash
# rapidfuzz 3.14.6, Levenshtein.normalized_similarity with score_cutoff, and process.extractOne, which passes it on: scores that are the
# cutoff itself.
#
# Expected: "If the similarity is smaller than score_cutoff, 0 is returned", so that a score of 0.6 passes a cutoff of 0.6.
# Seen: it is 0, also with a cutoff that is 1e-9 less; so fuzzy matches of 60 % or 80 % are lost where at least 60 % or 80 % are asked for.
# Of all 820 shares of up to 40 words 473 are. A cutoff that is 1e-6 less loses none.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" -q install rapidfuzz==3.14.6
"$folder/env/bin/python" - <<'P'
import rapidfuzz
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

alike = Levenshtein.normalized_similarity
one, other = "a b c".split(), "a b c d e".split()
print(rapidfuzz.__version__, alike(one, other), alike(one, other, score_cutoff=0.6), alike(one, other, score_cutoff=0.6 - 1e-9))
assert alike(one, other) == 0.6, "another definition of the similarity"
assert alike(one, other, score_cutoff=0.6) == 0, "a score that is the cutoff passes now"
assert process.extractOne(one, [other], scorer=alike, processor=None, score_cutoff=0.6) is None, "and so it does among several"
shares = [(alike("a" * kept, "a" * whole), kept, whole) for whole in range(1, 41) for kept in range(1, whole + 1)]
lost = {less: sum(alike("a" * kept, "a" * whole, score_cutoff=share - less) == 0 for share, kept, whole in shares) for less in (0, 1e-9, 1e-6)}
print(len(shares), "shares, lost with a cutoff that is so much less:", lost)
assert lost[0] > 0, "none is lost now"
assert lost[1e-6] == 0, "some are lost with less, too"
P

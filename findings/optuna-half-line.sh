#!/usr/bin/env bash
# Optuna 5.0.0: a study in a journal file, as several workers share one, and a worker that is killed while it appends.
#
# Expected: what was not written to its end never was; the others go on.
# Seen: the half line stays. The next worker appends behind it, on the same line, so that from then on nobody can read the study. Opening
# it is enough.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" -q install optuna==5.0.0 numpy==2.4.6
cd "$folder"
"$folder/env/bin/python" - <<'P'
import os

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

optuna.logging.set_verbosity(optuna.logging.ERROR)


def study():
    return optuna.create_study(study_name="one", storage=JournalStorage(JournalFileBackend(os.path.abspath("journal.log"))), load_if_exists=True)


first = study()
first.tell(first.ask(), 1.0)
whole = open("journal.log", "rb").read()
first.ask()
line = open("journal.log", "rb").read()[len(whole) :]
with open("journal.log", "wb") as file:
    file.write(whole + line[: len(line) // 2])  # what a kill in the middle of the write leaves
try:
    second = study()  # opening a study appends a line, too
    second.ask()
    print(len(study().trials))
except ValueError as error:
    print(f"optuna {optuna.__version__}: {type(error).__name__}: {error}")
else:
    raise SystemExit("half a line is cut off, or left alone, now")
P

"""The folder of encoded data that runs share."""

import os
import tempfile
from pathlib import Path

from antiphon.errors import ConfigError


def make_cache(folder: Path | None) -> None:
    """Create the folder `data.cache`, if it is set. Raises ConfigError when it cannot be created or written."""
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unusable(folder, str(error.strerror)) from error


def check_cache(folder: Path) -> None:
    """Check whether the folder exists or can be created, without creating it. Raises ConfigError like `make_cache`, as far as that can be
    foreseen."""
    there = next(place for place in (folder, *folder.parents) if os.path.exists(place))
    if not there.is_dir():
        raise _unusable(folder, f"{there} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise _unusable(folder, f"{there} is not writable")


def _unusable(folder: Path, reason: str) -> ConfigError:
    return ConfigError(
        f"`data.cache` must be a folder that can be written, but {folder} cannot: {reason}. Name another one, or leave it out to keep"
        " encoded data in the run's own folder."
    )

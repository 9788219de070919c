"""The folder for encoded data that runs share."""

import tempfile
from pathlib import Path

from antiphon.errors import ConfigError


def make_cache(folder: Path | None) -> None:
    """Make the folder of `data.cache`, if there is one to make. Raises ConfigError when it cannot be made or written."""
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f"`data.cache` must be a folder that can be written, but {folder} cannot: {error.strerror}. Name another one, or leave it out"
            " to keep encoded data in the run's own folder."
        ) from error

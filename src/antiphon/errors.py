"""All errors that Antiphon raises on purpose.

    AntiphonError
      ConfigError (ValueError)          a recipe says something that cannot be
      DataError (ValueError)            a record, a file or a column is not as expected
      CheckpointError                   a run or checkpoint cannot be read or written
      TrainingError                     training cannot go on (it ran out of memory for one record)
        DivergedError                   loss or gradient was not finite again and again
      MissingPackageError (ImportError) an optional package is not installed
      ExportError                       a model cannot be exported in the format asked for

A message is one sentence of the form "`model.heads` must divide `model.dim` (512), but is 7.", followed by the remedy where there
is one. `assert` is kept for what only a programmer can get wrong.
"""

import difflib
from collections.abc import Iterable


class AntiphonError(Exception):
    """The base class of all errors that a user can meet; the command line prints them without a traceback."""


class ConfigError(AntiphonError, ValueError):
    """A setting is unknown, has the wrong type, or clashes with another."""


class DataError(AntiphonError, ValueError):
    """A file, line, column or record is not as expected."""


class CheckpointError(AntiphonError):
    """A run or checkpoint is missing, damaged, too new, or cannot be written."""


class TrainingError(AntiphonError):
    """Training had to stop; the last checkpoint is intact."""


class DivergedError(TrainingError):
    """Training had to stop, since the loss or the gradient was not finite several times in a row."""


class MissingPackageError(AntiphonError, ImportError):
    """A feature needs an optional package that is not installed."""

    def __init__(self, feature: str, package: str, extra: str):
        super().__init__(f"{feature} needs the package `{package}`. Install it, in Antiphon's folder, with: pip install '.[{extra}]'")
        self.package = package
        self.extra = extra
        self._made_of = (feature, package, extra)

    def __reduce__(self) -> tuple[type["MissingPackageError"], tuple[str, str, str]]:
        """How the error is pickled, to be sent to other processes."""
        return type(self), self._made_of


class ExportError(AntiphonError):
    """A model cannot be exported in the requested format."""


def nearest(name: str, allowed: Iterable[str], alike: float = 0.5) -> str:
    """Return " Did you mean `x`?" for the most similar allowed name, or "" when none is similar enough (`alike` 1 requires equality)."""
    matches = difflib.get_close_matches(name, list(allowed), n=1, cutoff=alike)
    return f" Did you mean `{matches[0]}`?" if matches else ""

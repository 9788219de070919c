"""Whether code from outside of Antiphon that a recipe names may be imported: a verdict that travels with the recipe.

A recipe that the user wrote may name plug-ins of the user's own. All that is read from a run's folder is foreign: it may come from
anywhere, so names in it are refused until the user says otherwise (`trust_code=True`, `--trust-code`).
"""

import os
from dataclasses import dataclass, replace
from typing import final

REMEDY = "pass `trust_code=True` (`--trust-code`), or set the environment variable ANTIPHON_TRUST_CODE=1"


@final
@dataclass(frozen=True)
class Trust:
    """A trust verdict. `names` applies to the code that a recipe names; `runs` to that of the runs that it reads (a teacher, the base of
    adapters); code in `known` is trusted in any case."""

    names: bool
    runs: bool
    known: frozenset[str] = frozenset()

    def allows(self, name: str) -> bool:
        """Whether the code called `name` may be imported."""
        return self.names or name in self.known

    def of_runs(self) -> "Trust":
        """The verdict on the contents of a run that the recipe names."""
        return replace(self, names=self.runs)


OWN = Trust(names=True, runs=False)
"""The verdict on settings from a Python program, which are the user's own."""
FOREIGN = Trust(names=False, runs=False)
"""The verdict on settings that nobody has vouched for."""


def own(trust_code: bool = False) -> Trust:
    """The verdict on a user's own recipe; `trust_code` applies to the runs that it names."""
    return Trust(names=True, runs=_said(trust_code))


def foreign(trust_code: bool = False, known: frozenset[str] = frozenset()) -> Trust:
    """The verdict on the contents of a run's folder."""
    return Trust(names=_said(trust_code), runs=_said(trust_code), known=known)


def _said(trust_code: bool) -> bool:
    return trust_code or os.environ.get("ANTIPHON_TRUST_CODE") == "1"

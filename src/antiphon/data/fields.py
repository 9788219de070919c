"""Required columns, which may be nested fields: `translation.en` is `en` in the mapping `translation`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, final

from antiphon.contracts.records import Record
from antiphon.errors import DataError, nearest

_SHOWN = 30


@final
class Column(str):
    """The name of a required column, and the `setting` that requires it, so that an error can name both."""

    setting: str

    def __new__(cls, name: str, setting: str) -> "Column":
        """The name, which a setting such as `task.source` requires."""
        column = super().__new__(cls, name)
        column.setting = setting
        return column

    def __reduce__(self) -> tuple[type["Column"], tuple[str, str]]:
        """How the name is pickled, to be sent to other processes."""
        return type(self), (str(self), self.setting)


def check_columns(there: Iterable[str], required: Sequence[str], place: str) -> None:
    """Raise DataError when a required column is missing, with the existing columns."""
    known = list(there)
    for name in required:
        if name not in known:
            more = f" and {len(known) - _SHOWN:,} more" if len(known) > _SHOWN else ""
            has = f"{', '.join(map(str, known[:_SHOWN]))}{more}"
            asked = f", which `{name.setting}` asks for" if isinstance(name, Column) else ""
            raise DataError(f"{place} has no column `{name}`{asked}; it has: {has}.{nearest(name, map(str, known))}")


def with_fields(record: Record, names: Sequence[str]) -> Record:
    """The record, with nested fields as columns of their own: `translation.en` from {"translation": {"en": ...}}."""
    within = {name: found for name in names if "." in name and name not in record and (found := _within(record, name)) is not None}
    return {**record, **within} if within else record


def _within(record: Record, name: str) -> Any:
    found: Any = record
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found

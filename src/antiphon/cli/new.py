"""antiphon new: a commented recipe to start from."""

from pathlib import Path
from typing import Annotated

import typer


def new(
    task: Annotated[str, typer.Argument(help="What to learn, such as translation; `antiphon list tasks` names all.")],
    file: Annotated[Path | None, typer.Argument(help="Where to write the recipe; TASK.yaml when left out.")] = None,
) -> None:
    """Write a commented recipe for your own data.

    Example: antiphon new translation german.yaml
    """
    from antiphon.contracts import registry
    from antiphon.errors import ConfigError

    plugin = registry.find("tasks", task.replace("-", "_"))
    path = file or Path(f"{task}.yaml")
    if path.exists():
        raise ConfigError(f"{path} exists already. Choose another name, or remove it.")
    try:
        path.write_text(plugin.template.format(file=path), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error
    print(f"Wrote {path}. Point `data` at your files, then: antiphon inspect {path}")

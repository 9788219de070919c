"""antiphon new: a commented recipe to start from."""

from pathlib import Path
from typing import Annotated

import typer

from antiphon.cli.completion import tasks


def new(
    task: Annotated[str, typer.Argument(help="What to learn, such as translation; `antiphon list tasks` names all.", autocompletion=tasks)],
    file: Annotated[Path | None, typer.Argument(help="Where to write the recipe; TASK.yaml when left out.")] = None,
) -> None:
    """Write a commented recipe for your own data, and beside it a schema by which editors know what may stand there.

    Example: antiphon new translation german.yaml
    """
    from antiphon.cli.schema import BESIDE, schema_text
    from antiphon.contracts import registry
    from antiphon.errors import ConfigError
    from antiphon.store.atomic import replacing

    plugin = registry.find("tasks", task.replace("-", "_"))
    path = file or Path(f"{task}.yaml")
    if path.exists():
        raise ConfigError(f"{path} exists already. Choose another name, or remove it.")
    try:
        with replacing(path.parent / BESIDE) as schema:
            schema.write(schema_text())
        with replacing(path) as recipe:
            recipe.write(f"# yaml-language-server: $schema={BESIDE}\n{plugin.template.format(file=path)}")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error
    print(f"Wrote {path}. Point `data` at your files, then: antiphon inspect {path}")

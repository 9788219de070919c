"""antiphon new: a commented recipe to start from, for files that are there or are to come."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli.completion import tasks
from antiphon.cli.options import Quiet, Set

if TYPE_CHECKING:
    from antiphon.contracts.files import FileConfig
    from antiphon.contracts.task import TaskPlugin

_RECIPES = (".yaml", ".yml")


def new(
    task: Annotated[str, typer.Argument(help="What to learn, such as translation; `antiphon list tasks` names all.", autocompletion=tasks)],
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]", help="Where to write the recipe; TASK.yaml when left out. More files of --data.")
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            "--from",
            metavar="FILES...",
            help="What to learn from: files or folders such as de.po or po/, or as a recipe names them.",
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0.1, help="How many minutes training may take, with --data; 10 when left out.")
    ] = None,
    settings: Set = None,
    quiet: Quiet = False,
) -> None:
    """Write a commented recipe for your own data, and beside it a schema with which editors complete and check it.

    With --data it looks at the files and at this machine: columns, vocabulary, model, batch and budget are chosen to fit, each with its
    reason. A column that cannot be guessed is named by --set task.source=COLUMN.

    Example: antiphon new translation german.yaml --data po/de.po memory.tsv --minutes 10
    """
    from antiphon.cli.schema import BESIDE, schema_text
    from antiphon.contracts import registry
    from antiphon.errors import ConfigError
    from antiphon.store.atomic import replacing

    plugin = registry.find("tasks", _whole_name(task.replace("-", "_"), registry.names("tasks")))
    path, data = _parted(files or [], given or [], Path(f"{task}.yaml"))
    if path.exists():
        raise ConfigError(f"{path} exists already. Choose another name, or remove it.")
    for option in ("--set",) * bool(settings) + ("--minutes",) * (minutes is not None):
        if not data:
            raise ConfigError(f"`{option}` needs `--data`: a recipe without data is a template, to be changed by hand.")
    text, said = plugin.template.format(file=path), tuple[str, ...]()
    if data:
        text, said = _fitted(plugin, data, path, minutes, settings or (), quiet=quiet)
    try:
        with replacing(path.parent / BESIDE) as schema:
            schema.write(schema_text())
        with replacing(path) as recipe:
            recipe.write(f"# yaml-language-server: $schema={BESIDE}\n{text}")
    except OSError as error:
        reason = error.strerror if path.parent.is_dir() else f"there is no folder {path.parent}"
        raise ConfigError(f"{path} cannot be written: {reason}.") from error
    for sentence in said:
        print(sentence)
    print(f"Wrote {path}. {'Look' if data else 'Point `data` at your files, then'}: antiphon inspect {path}")


def _fitted(
    plugin: "TaskPlugin", data: "list[Path | FileConfig]", path: Path, minutes: float | None, settings: Sequence[str], *, quiet: bool
) -> tuple[str, tuple[str, ...]]:
    """A recipe that fits the data; on a terminal one line tells meanwhile what is being done."""
    from rich.console import Console

    from antiphon.runs.new_recipe import MINUTES, recipe_for

    console, minutes = Console(stderr=True), minutes or MINUTES
    if quiet or not console.is_terminal:
        return recipe_for(plugin, data, path, minutes=minutes, overrides=settings)
    with console.status("looking at the data") as status:
        return recipe_for(plugin, data, path, minutes=minutes, overrides=settings, say=status.update)


def _whole_name(task: str, known: list[str]) -> str:
    """The one task that is called so, or whose name begins or ends so: `speech` is `speech_recognition`, `forecast` is `forecasting`."""
    meant = [name for name in known if task and (name.startswith(task) or name.endswith(f"_{task}"))]
    return task if task in known or len(meant) != 1 else meant[0]


def _parted(files: list[str], given: "list[str]", usual: Path) -> "tuple[Path, list[Path | FileConfig]]":
    """The recipe and what it is to learn from: files behind that of `--data` are meant by it, too, unless they are named like recipes."""
    from antiphon.errors import ConfigError
    from antiphon.recipe.named_files import named_files

    recipes = [name for name in files if not given or name.endswith(_RECIPES)]
    if len(recipes) > 1:
        raise ConfigError(f"`antiphon new` writes one recipe, but {' and '.join(recipes)} are named. Name the data by `--data`.")
    named: list[Path | FileConfig] = []
    for name in [*given, *(name for name in files if name not in recipes)]:
        found = named_files(name, "--data")
        named.extend(found if isinstance(found, tuple) else [found])
    return Path(recipes[0]) if recipes else usual, named

"""antiphon schema: what recipes may say, for editors."""

from pathlib import Path
from typing import Annotated

import typer

from antiphon.store.json_text import json_text

BESIDE = ".antiphon-schema.json"
"""The name of the schema that `antiphon new` writes beside a recipe."""


def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to write it; standard output when left out.")] = None,
) -> None:
    """Print the JSON schema of recipes, with which editors complete settings, explain them and mark mistakes.

    Example: antiphon schema -o .antiphon-schema.json
    """
    if output is None:
        print(schema_text(), end="")
        return
    from antiphon.errors import ConfigError
    from antiphon.store.atomic import replacing

    try:
        with replacing(output) as file:
            file.write(schema_text())
    except OSError as error:
        raise ConfigError(f"{output} cannot be written: {error.strerror}.") from error
    print(f"Wrote {output}. The first line of a recipe beside it: # yaml-language-server: $schema={output.name}")


def schema_text() -> str:
    """The schema as JSON."""
    from antiphon.recipe.schema import recipe_schema

    return json_text(recipe_schema(), indent=1) + "\n"

"""Files of records as a command line names them: a path, or in braces the notation of recipes, such as two line-aligned files."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from antiphon.contracts.files import FileConfig, as_file, is_remote
from antiphon.errors import ConfigError


def named_files(text: str, option: str) -> Path | tuple[FileConfig, ...]:
    """The file, or the files, that the value of an option names. Raises ConfigError for what a recipe does not allow either."""
    if is_remote(text):
        return (as_file(text),)
    if not text.lstrip().startswith(("{", "[")) or Path(text).exists():
        return Path(text)
    try:
        found: Any = YAML(typ="safe", pure=True).load(text)
        return tuple(as_file(entry) for entry in (found if isinstance(found, list) else [found]))
    except YAMLError as error:
        raise ConfigError(
            f"`{option}` must be a path, or files as a recipe names them, such as '{{source: test.en, target: test.de}}', with its"
            f" quotation marks, which keep it together in a shell, but is {text!r}."
        ) from error
    except ValueError as error:
        raise ConfigError(f"`{option}`: {error}") from error

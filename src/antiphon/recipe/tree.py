"""A recipe's file as a tree with line numbers, and changes from the command line applied to it."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from antiphon.errors import ConfigError, nearest

_SUFFIXES = (".yaml", ".yml")
_KINDS = {str: "a text", CommentedSeq: "a list", type(None): "empty"}


def existing(path: Path) -> Path:
    """The file that a path means: for `german.yml`, or `german` alone, also an existing `german.yaml`."""
    others = (path.with_suffix(suffix) for suffix in _SUFFIXES)
    return path if path.exists() or path.suffix not in ("", *_SUFFIXES) else next((one for one in others if one.is_file()), path)


def parsed(path: Path) -> CommentedMap:
    """The file as a tree with line numbers. The round-trip loader only builds plain values, like the safe one."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        there = [other.name for suffix in _SUFFIXES for other in path.parent.glob(f"*{suffix}")]
        hint = nearest(path.name, there, 0.8) or f" `antiphon new translation {path}` writes one to start from."
        raise ConfigError(f"There is no recipe {path}.{hint}") from error
    except IsADirectoryError as error:
        raise ConfigError(f"A recipe is a YAML file, but {path} is a folder.{_recipes_in(path)}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"A recipe is a YAML file in UTF-8, but {path} is not: byte {error.start + 1} is no text.{_for_data(path)}"
        ) from error
    except OSError as error:
        raise ConfigError(f"The recipe {path} cannot be read: {error.strerror}.") from error
    try:
        tree = YAML(typ="rt").load(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{path}{line}: this is not valid YAML: {problem}.{_for_data(path)}") from error
    if not isinstance(tree, CommentedMap):
        found = _KINDS.get(type(tree), type(tree).__name__)
        raise ConfigError(
            f"{path}: a recipe must be a mapping with `task`, `data`, `model` and `training`, but is {found}.{_for_data(path)}"
        )
    return tree


def _recipes_in(folder: Path) -> str:
    """A sentence with the recipes in a folder."""
    found = sorted(str(one) for suffix in _SUFFIXES for one in folder.glob(f"*{suffix}"))
    return f" Recipes in it: {', '.join(found[:5])}{', ...' if len(found) > 5 else ''}." if found else ""


def _for_data(path: Path) -> str:
    """How to get a recipe for a file that is data, judging by its name."""
    return "" if path.suffix in _SUFFIXES else f" Are these data? `antiphon new TASK --data {path}` writes a recipe for them."


def plain_values(text: str) -> dict[str, Any]:
    """The plain values of a text that is known to be a recipe."""
    return dict(plain_tree(YAML(typ="safe", pure=True).load(text)))


def override_in(tree: Any, override: str) -> tuple[str, ...]:
    """Apply one `key.path=value`; returns the path as keys."""
    dotted, equals, text = override.partition("=")
    keys = tuple(dotted.strip().split("."))
    if not equals or not all(keys):
        raise ConfigError(f"`--set` must be of the form key.path=value, but is {override!r}.")
    try:
        value = plain_tree(YAML(typ="safe", pure=True).load(text))  # YAML 1.2 knows no dates
    except YAMLError as error:
        raise ConfigError(f"`--set {dotted}`: {text!r} is not valid YAML.") from error
    for position, key in enumerate(keys[:-1], start=1):
        inner = tree.get(key)
        if isinstance(inner, str):  # a bare name, or the path of a file
            inner = {"path" if keys[0] == "data" else "name": inner}
        if inner is not None and not isinstance(inner, dict):
            whole = ".".join(keys[:position])
            raise ConfigError(f"`--set {dotted}` cannot change a part of `{whole}`, which is {plain_tree(inner)!r}: set it as a whole.")
        tree[key] = {} if inner is None else inner
        tree = tree[key]
    tree[keys[-1]] = value
    return keys


def line_of(tree: Any, keys: tuple[Any, ...]) -> int:
    """The line (from 1) of the deepest key on the path that exists in the file."""
    line = 1
    for key in keys:
        try:
            place = tree.lc.key(key) if isinstance(tree, CommentedMap) else tree.lc.item(key)
            tree = tree[key]
        except (KeyError, AttributeError, IndexError, TypeError):
            break
        line = int(place[0]) + 1
    return line


def plain_tree(tree: Any) -> Any:
    """The tree as plain values."""
    if isinstance(tree, CommentedMap | dict):
        return {key: plain_tree(value) for key, value in tree.items()}
    if isinstance(tree, CommentedSeq | list):
        return [plain_tree(value) for value in tree]
    if isinstance(tree, bool) or tree is None:
        return tree
    for kind in (int, float, str):  # the loader's subclasses remember formatting that nobody needs
        if isinstance(tree, kind):
            return kind(tree)
    return str(tree)

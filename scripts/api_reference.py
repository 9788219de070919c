#!/usr/bin/env python3
"""The reference of the Python interface, made from signatures and docstrings: a page for the public names, and one for each folder.

Unusual: the code is read, not run. So annotations stand as they were written, `Float[Tensor, "B T D"]` with its shape, and nothing
needs to be installed. Names that begin with an underscore are left out.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "antiphon"
WIDTH = 88  # of a signature in one line
# The folders in the order of the reference, from what one meets first to what lies deepest; the command line has pages of its own.
FOLDERS = (
    *("contracts", "tasks", "models", "layers", "heads", "losses", "search", "metrics", "features", "data", "training", "prediction"),
    *("runs", "recipe", "serving", "protocols", "engines", "exporters", "importers", "readers", "distillation", "baselines"),
    *("trackers", "store", "sweeping"),
)
INTRODUCTION = """\
# Python interface

`import antiphon` gives the names on this page; importing it does not load torch. Every error that a user can remedy is an `AntiphonError`
(`antiphon.errors`), with one sentence that says what to do: a `ConfigError` (a setting), a `DataError` (a record or a file), a
`CheckpointError` (a run on disk) or a `TrainingError` (a training that cannot go on).

The other pages of this reference are for those who write parts of their own; [the contracts](contracts.md) come first. Signatures contain
the shapes of tensors, such as `Float[Tensor, "B T D"]`: `B` is the batch, `T` and `S` are steps of the target and of the source, `D` is the
width, `V` the vocabulary, and `C` are channels.
"""
# A line of a list of arguments: a name (or several), two spaces or more, what it is.
ARGUMENT = re.compile(r"([*`]*[A-Za-z_][\w`]*(?:, [*`]*[A-Za-z_][\w`]*)*(?: \([^)]*\))?) {2,}(\S.*)")

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@final
@dataclass(frozen=True)
class Page:
    """A page of the reference: where it stands below `api/`, what the navigation calls it, and its text."""

    name: str
    title: str
    text: str


def pages() -> list[Page]:
    """All of them, the public names first."""
    return [Page("index.md", "Public names", public_page()), *(folder_page(folder) for folder in FOLDERS if (PACKAGE / folder).is_dir())]


def public_page() -> str:
    """`antiphon.train` and its like, each with its docstring."""
    places: dict[str, str] = {}
    for statement in parsed(PACKAGE / "__init__.py").body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="_PLACES")], value=value):
                places = ast.literal_eval(value)
    parts = [INTRODUCTION]
    for name, place in sorted(places.items(), key=lambda item: (item[0] != "train", item[0].lower())):
        (definition,) = (each for each in parsed(PACKAGE / f"{place.replace('.', '/')}.py").body if defines(each, name))
        parts += [f"## {name}", *described(definition, f"antiphon.{name}")]
    return "\n\n".join(parts) + "\n"


def folder_page(folder: str) -> Page:
    """A folder of the package: each of its files with its classes and functions."""
    parts = [f"# antiphon.{folder}", markdown(ast.get_docstring(parsed(PACKAGE / folder / "__init__.py")) or "")]
    for file in sorted((PACKAGE / folder).rglob("*.py")):
        if file.name == "__init__.py" and file.parent == PACKAGE / folder:
            continue
        tree = parsed(file)
        module = file.relative_to(PACKAGE).with_suffix("").as_posix().removesuffix("/__init__").replace("/", ".")
        parts += [f"## {module}", markdown(ast.get_docstring(tree) or "")]
        for definition in public(tree.body):
            parts += [f"### {definition.name}", *described(definition, definition.name)]
    return Page(f"{folder}.md", folder, "\n\n".join(part for part in parts if part) + "\n")


def parsed(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def defines(statement: ast.stmt, name: str) -> bool:
    """Whether it is the definition of this name."""
    return isinstance(statement, Definition) and statement.name == name


def public(statements: Sequence[ast.stmt]) -> Iterator[Definition]:
    """Classes and functions whose names have no underscore in front; of overloads the implementation only."""
    for statement in statements:
        if isinstance(statement, Definition) and not statement.name.startswith("_") and "overload" not in decorators(statement):
            yield statement


def decorators(definition: Definition) -> list[str]:
    """What stands behind the @ signs."""
    return [ast.unparse(decorator) for decorator in definition.decorator_list]


def described(definition: Definition, name: str) -> Iterator[str]:
    """A definition's signature and docstring, with the fields and methods of a class."""
    yield code(signature(definition, name))
    yield markdown(ast.get_docstring(definition) or "")
    if isinstance(definition, ast.ClassDef):
        if fields := list(fields_of(definition)):
            yield "\n".join(fields)
        for method in public(definition.body):
            yield code(signature(method, method.name))
            yield markdown(ast.get_docstring(method) or "")


def signature(definition: Definition, name: str) -> str:
    """The first line of a definition; its arguments stand on lines of their own where one line is too short."""
    if isinstance(definition, ast.ClassDef):
        bases = ", ".join(map(ast.unparse, definition.bases))
        init = next((each for each in definition.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"), None)
        head = f"class {name}" + (f"({bases})" if bases else "")
        return head if init is None else f"{head}\n{signature(init, '__init__')}"
    kind = "async def " if isinstance(definition, ast.AsyncFunctionDef) else "def "
    kind = "@property\ndef " if "property" in decorators(definition) else kind
    result = f" -> {ast.unparse(definition.returns)}" if definition.returns else ""
    each = list(arguments(definition.args))
    line = f"{kind}{name}({', '.join(each)}){result}"
    return line if len(line) <= WIDTH else f"{kind}{name}(\n" + "".join(f"    {one},\n" for one in each) + f"){result}"


def arguments(given: ast.arguments) -> Iterator[str]:
    """Each argument with its annotation and default; `*` and `/` as arguments of their own."""
    placed = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(placed) - len(given.defaults)) + given.defaults
    for place, (one, default) in enumerate(zip(placed, defaults, strict=True), start=1):
        yield argument(one, default)
        if place == len(given.posonlyargs):
            yield "/"
    if given.vararg:
        yield f"*{argument(given.vararg, None)}"
    elif given.kwonlyargs:
        yield "*"
    for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        yield argument(one, default)


def argument(one: ast.arg, default: ast.expr | None) -> str:
    """An argument as one writes it."""
    noted = f": {ast.unparse(one.annotation)}" if one.annotation else ""
    if default is None:
        return one.arg + noted
    return f"{one.arg}{noted}{' = ' if noted else '='}{ast.unparse(default)}"


def fields_of(definition: ast.ClassDef) -> Iterator[str]:
    """The annotated attributes of a class, each with the docstring below it."""
    for place, statement in enumerate(definition.body):
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name) or statement.target.id.startswith("_"):
            continue
        default = f" = {ast.unparse(statement.value)}" if statement.value is not None else ""
        line = f"- `{statement.target.id}: {ast.unparse(statement.annotation)}{default}`"
        match definition.body[place + 1] if place + 1 < len(definition.body) else None:
            case ast.Expr(value=ast.Constant(value=str(said))):
                line += " " + " ".join(inspect.cleandoc(said).split())
        yield line


def code(text: str) -> str:
    """Python in a fence."""
    return f"```python\n{text}\n```"


def markdown(docstring: str) -> str:
    """A docstring for the page: paragraphs stay, lists of arguments become lists, and what is indented becomes code."""
    return "\n\n".join(paragraph(each) for each in re.split(r"\n\s*\n", docstring.strip("\n")) if each.strip())


def paragraph(text: str) -> str:
    """One paragraph of a docstring."""
    lines = text.split("\n")
    if all(line.startswith("    ") or not line.strip() for line in lines):
        return f"```\n{textwrap.dedent(text)}\n```"
    first = next((place for place, line in enumerate(lines) if ARGUMENT.fullmatch(line)), None)
    if first is None or any(line.startswith(("* ", "- ", "|")) for line in lines):
        return text
    said = lines[:first]
    for line in lines[first:]:
        if found := ARGUMENT.fullmatch(line):
            said += (
                ["", f"- `{found[1].replace('`', '')}`: {found[2]}"]
                if not said or not said[-1].startswith(("- ", "  "))
                else [f"- `{found[1].replace('`', '')}`: {found[2]}"]
            )
        else:
            said.append(f"  {line.strip()}")
    return "\n".join(said).strip("\n")

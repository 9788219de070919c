"""The model card of an exported folder: where the model comes from, what is needed to run it, and how it compares with the original run."""

from collections.abc import Sequence

from antiphon.exporters.interface import TrainedModel
from antiphon.exporters.model_card import as_yaml, data_lines, published, score_tables
from antiphon.version import __version__

_EXTRAS = ("ctranslate2", "onnx")  # engines whose package comes with an extra of the same name


def engine_card(trained: TrainedModel, engine: str, lost: Sequence[str], compared: Sequence[tuple[str, str, str, str]]) -> str:
    """The text of README.md.

    lost       what the engine does differently, a sentence each
    compared   what was measured of the exported model and of its run: (what, before, after, difference); none where nothing was
    """
    recipe = published(trained.recipe)
    task, extra = recipe["task"]["name"], f"[{engine}]" if engine in _EXTRAS else ""
    parts = [
        f"---\nlibrary_name: antiphon\nlicense: unknown\ntags: [antiphon, {engine}, {task}]\n---",
        f"# {trained.name}\n\nA `{trained.architecture}` for {task.replace('_', ' ')}, in {trained.precision} for the engine `{engine}`,"
        f" exported by Antiphon {__version__}.",
        f'## Use\n\n```sh\npip install "antiphon{extra}"\nantiphon predict . --input FILE\n```\n\n'
        '```python\nimport antiphon\n\nmodel = antiphon.load(".")\nprint(model.predict(...).value)\n```',
        f"## Compared with the run\n\n{_comparison(compared)}",
        "## Data\n\n" + "\n".join(data_lines(recipe, trained.header)),
        "## Scores of the run\n\n" + ("\n\n".join(score_tables(trained)) or "Nobody has measured it."),
        f"## Recipe\n\n```yaml\n{as_yaml(recipe)}```",
    ]
    if lost:
        parts.insert(3, "## What this engine does differently\n\n" + "\n".join(f"* {sentence}" for sentence in lost))
    parts.append("## Licence\n\n**To be filled in.** It depends on the licences of the data and of what the model began with.")
    return "\n\n".join(parts) + "\n"


def _comparison(compared: Sequence[tuple[str, str, str, str]]) -> str:
    if not compared:
        return "Nothing was measured. `antiphon doctor . --against RUN --data FILE` does it."
    rows = "\n".join(f"| {' | '.join(row)} |" for row in compared)
    return (
        "Validation data; differences of scores with their 95 % interval.\n\n"
        f"| | before | after | difference |\n|---|---|---|---|\n{rows}\n\n"
        "The exact numbers are in `parity.json`."
    )

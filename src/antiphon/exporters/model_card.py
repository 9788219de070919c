"""A model card: where a model comes from, its scores, how to use it, and what its publisher should add.

The recipe stands in it whole, but for the names of folders on the machine that trained it.
"""

from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import PurePath
from typing import Any

from ruamel.yaml import YAML

from antiphon.exporters.interface import TrainedModel
from antiphon.version import __version__

_PIPELINES = {"translation": "translation", "summarization": "summarization", "speech_recognition": "automatic-speech-recognition"}


_SPEECH = """\
```python
from transformers import AutoModelForSpeechSeq2Seq, AutoProcessor

processor = AutoProcessor.from_pretrained(".")
model = AutoModelForSpeechSeq2Seq.from_pretrained(".").eval()
batch = processor(samples, sampling_rate=16000, return_tensors="pt")  # samples: an array, one channel
found = model.generate(batch.input_features)
print(processor.batch_decode(found, skip_special_tokens=True))
```"""


def model_card(trained: TrainedModel, lost: Sequence[str], languages: tuple[str, str] | None) -> str:
    """The text of README.md. `lost` says how outputs in transformers will differ."""
    recipe = published(trained.recipe)
    task, base = recipe["task"], trained.recipe["model"].get("path") or "?"
    parts = [
        _front_matter(task["name"], base),
        f"# {trained.name}\n\n{_origin(recipe, base)}",
        f"## Use\n\n{_usage(task, languages)}",
        "## Data\n\n" + "\n".join(data_lines(recipe, trained.header)),
        "## Scores\n\n" + ("\n\n".join(score_tables(trained)) or "Nobody has measured it."),
        f"## Recipe\n\n```yaml\n{as_yaml(recipe)}```",
    ]
    if lost:
        parts.append("## What `generate` does differently\n\n" + "\n".join(f"* {sentence}" for sentence in lost))
    parts.append("## Licence\n\n**To be filled in.** It depends on the licences of the base model and of the data.")
    return "\n\n".join(parts) + "\n"


def _front_matter(task: str, base: str) -> str:
    lines = ["library_name: transformers", f"pipeline_tag: {_PIPELINES.get(task, 'text2text-generation')}", "license: unknown"]
    if base != "?" and not PurePath(base).is_absolute():
        lines.append(f"base_model: {base}")
    return "\n".join(["---", *lines, "tags: [antiphon]", "---"])


def _origin(recipe: Mapping[str, Any], base: str) -> str:
    if base == "?":
        return f"Trained by Antiphon {__version__}."
    adapter = recipe["model"].get("adapter")
    how = f"with a {adapter['kind']} adapter of rank {adapter['rank']}, merged into the weights" if adapter else "in all weights"
    frozen = recipe["training"].get("freeze")
    kept = f" Frozen: {', '.join(f'`{pattern}`' for pattern in frozen)}." if frozen else ""
    return f"{PurePath(base).name if PurePath(base).is_absolute() else base}, fine-tuned {how}, by Antiphon {__version__}.{kept}"


def _usage(task: Mapping[str, Any], languages: tuple[str, str] | None) -> str:
    if task["name"] == "speech_recognition":
        return _SPEECH
    prefix = task.get("source_prefix") or ""
    codes = f', src_lang="{languages[0]}", tgt_lang="{languages[1]}"' if languages else ""
    text = f"{prefix + '...'!r}".replace("'", '"')
    return (
        "```python\n"
        "from transformers import AutoModelForSeq2SeqLM, AutoTokenizer\n\n"
        f'tokenizer = AutoTokenizer.from_pretrained("."{codes})\n'
        'model = AutoModelForSeq2SeqLM.from_pretrained(".").eval()\n'
        f'batch = tokenizer([{text}], padding=True, return_tensors="pt")\n'
        "found = model.generate(input_ids=batch.input_ids, attention_mask=batch.attention_mask)\n"
        "print(tokenizer.batch_decode(found, skip_special_tokens=True))\n"
        "```"
    )


def data_lines(recipe: Mapping[str, Any], header: Mapping[str, Any]) -> list[str]:
    """The data that the model was trained and evaluated on, one line each."""
    lines = []
    for split in ("train", "validation", "test"):
        source = recipe["data"].get(split)
        if isinstance(source, int):
            lines.append(f"* {split}: {source:,} records of the training data")
        elif source:
            names = [str(file.get("path") or file.get("source")) for file in source]
            lines.append(f"* {split}: {', '.join(names)}")
    examples = header.get("data", {}).get("examples")
    return [*lines, *([f"* learned from: {examples:,} examples"] if examples else [])] or ["The recipe names no files."]


def _value(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"


def score_tables(trained: TrainedModel) -> list[str]:
    """The scores of the checkpoint, and of each stored evaluation."""
    tables = []
    if scores := trained.header.get("scores"):
        rows = [f"| {name} | {_value(value)} |" for name, value in scores.items()]
        step = trained.header.get("step")
        tables.append("\n".join([f"Validation, at step {step}:", "", "| | |", "|---|---|", *rows]))
    for evaluation in trained.evaluations:
        rows = []
        for score in evaluation.get("scores", ()):
            low, high = score.get("low"), score.get("high")
            interval = f"{low:.4g} to {high:.4g}" if low is not None and high is not None else ""
            rows.append(f"| {score['name']} | {_value(score['value'])} | {interval} | {_in_table(score.get('signature'))} |")
        data, search = PurePath(str(evaluation.get("data"))).name, evaluation["search"]["name"]
        head = f"{data}, {evaluation.get('records', 0):,} records, search `{search}`:"
        tables.append("\n".join([head, "", "| | | 95 % interval | signature |", "|---|---|---|---|", *rows]))
    return tables


def _in_table(signature: Any) -> str:
    """A signature as code in a table cell; its bars are escaped."""
    return f"`{signature}`".replace("|", "\\|") if signature else ""


def published(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe without the checkpoint's own configuration, which is in config.json, without unset values, and without folders."""
    model = {key: value for key, value in recipe["model"].items() if key not in ("description", "generation")}
    found: dict[str, Any] = _plain({**recipe, "model": model})
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items() if inner is not None and inner not in ("", [], {})}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, str) and PurePath(value).is_absolute():
        return PurePath(value).name
    return value


def as_yaml(recipe: Mapping[str, Any]) -> str:
    """Plain values as YAML, in their order."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    out = StringIO()
    yaml.dump(recipe, out)
    return out.getvalue()

"""The section on reproducing the run: the recipe, and the installed versions."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

import torch

from antiphon import __version__
from antiphon.report.markup import Markup, code, element, facts, folded, note, section, table
from antiphon.report.quantities import as_count, as_real, duration, number
from antiphon.report.run_record import RunRecord

_PACKAGES = ("torch", "numpy", "sentencepiece", "sacrebleu", "jiwer")


def making_section(record: RunRecord) -> Markup:
    """The section on the recipe and the environment."""
    written_with = record.header.get("version")
    other = "" if written_with in (None, __version__) else f" The model was trained by antiphon {written_with}."
    again = code(f"antiphon train {record.folder / 'recipe.yaml'} --out NEW")
    return section(
        "recipe",
        "Recipe and environment",
        note("Every setting, defaults included. ", again, " makes the run again."),
        folded("The resolved recipe", element("pre", None, record.recipe_text)),
        _cost(record),
        element("h3", None, "Environment of this report"),
        facts(_environment()),
        note(f"The report may have been written on another machine than the one that trained.{other}"),
    )


def _cost(record: RunRecord) -> Markup | None:
    """The costs measured by `antiphon inspect`: parameters by part of the model, memory, and the time of an epoch."""
    cost = (record.inspection or {}).get("cost")
    if not isinstance(cost, Mapping):
        return None
    parts = cost.get("parameters")
    sizes = {**(parts if isinstance(parts, Mapping) else {}), "all": cost.get("total_parameters")}
    table_of_parts = table(("part", "parameters"), ((name, f"{as_count(size):,}") for name, size in sizes.items()), numeric=(1,))
    seconds, memory = as_real(cost.get("seconds_per_epoch")), as_real(cost.get("memory_bytes"))
    measured = facts(
        [
            ("An epoch takes", f"{duration(seconds or 0)}, {as_count(cost.get('batches_per_epoch')):,} batches"),
            ("Speed", f"{number(cost.get('tokens_per_second'), 3)} target elements per second on {cost.get('device')}"),
            ("Memory", f"{(memory or 0) / 2**30:.2f} GiB"),
        ]
    )
    return folded("Size and cost, as antiphon inspect measured them", table_of_parts, measured)


def _environment() -> list[tuple[object, object]]:
    accelerators = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return [
        ("antiphon", __version__),
        ("Python", f"{platform.python_version()} ({platform.python_implementation()})"),
        *((name, found) for name in _PACKAGES if (found := _version(name))),
        ("System", f"{platform.system()} {platform.machine()}"),
        ("Cores", f"{os.cpu_count()} ({torch.get_num_threads()} threads used by torch)"),
        ("Accelerators", ", ".join(accelerators) or "none"),
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""

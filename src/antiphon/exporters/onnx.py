"""Exports a folder for ONNX Runtime: the graphs of `exporters/graphs.py` as ONNX files.

    engine/encode.onnx  step.onnx | decode.onnx  frames.onnx     beside what every engine's folder has
    engine/say.onnx  say_some.onnx  output.safetensors           the last product apart, where there is a shortlist
    engine/shortlist.safetensors
    engine/NAME.onnx.data                                        their weights (`onnx_weights.py`)

Opened by `engines/onnx.py` as a run is opened; any program with ONNX Runtime can run the files, some of whose operators are its own.
"""

import copy
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from antiphon.contracts.engine import Precision
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Batch
from antiphon.data.collate import collate
from antiphon.engines.shortlist import Shortlist
from antiphon.errors import ExportError
from antiphon.exporters import engine_folder
from antiphon.exporters.graphs import check_graphs, facts_of, graphs_of
from antiphon.exporters.interface import ExportPlugin, TrainedModel
from antiphon.exporters.onnx_ranges import limits as largest_of
from antiphon.exporters.onnx_ranges import says_symbols
from antiphon.layers.channelwise import ChannelIndependent

_RECORDS = 64
"""Validation records that show how large activations become."""


def export(trained: TrainedModel, folder: Path) -> Sequence[str]:
    """Write the folder. Raises ExportError for models without graphs, and if the extra is not installed."""
    check(trained.architecture)
    if trained.shortlist is not None and trained.precision == "bf16":
        raise ExportError("`--shortlist` makes models in fp32 and int8 faster, but `--precision` is bf16. Leave one of them out.")
    versions = {name: version(name) for name in ("torch", "onnx", "onnxruntime")}
    files = partial(write_graphs, trained.model, precision=trained.precision, shortlist=trained.shortlist, examples=_examples(trained))
    details = {} if trained.shortlist is None else {"shortlist": trained.shortlist.size}
    engine_folder.write(trained, folder, "onnx", facts_of(trained.model), files, versions=versions, details=details)
    return []


def check(architecture: str) -> None:
    """Raise ExportError for models that cannot be exported, before anything is written."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ExportError(f"`--format onnx` needs `{error.name}`: pip install '.[onnx]'.") from error
    check_graphs(architecture, "ONNX Runtime")


def write_graphs(
    model: Seq2SeqModel, folder: Path, precision: Precision = "fp32", shortlist: Shortlist | None = None, examples: Sequence[Batch] = ()
) -> None:
    """Write a file for each graph of a model into a folder, and its shortlist. In int8, `examples`, one a batch, show how large activations
    become; without any, each row gets a scale of its own when it is computed. Raises ExportError for int8 where every matrix is too small,
    and for patches with independent channels."""
    from antiphon.exporters.onnx_bf16 import store_in_bf16
    from antiphon.exporters.onnx_file import save
    from antiphon.exporters.onnx_int8 import quantize
    from antiphon.exporters.onnx_output import split
    from antiphon.exporters.onnx_recurrent import with_operators
    from antiphon.exporters.onnx_weights import put_beside

    if isinstance(model, ChannelIndependent) and getattr(model.settings, "patch_length", None) is not None:
        raise ExportError(
            "A model with `model.channels: independent` and `patch_length` cannot be exported to ONNX, whose runtime refuses the file."
            " Use `--format torch`."
        )
    traced: Any = copy.deepcopy(model)
    graphs = graphs_of(
        traced, None if shortlist is None else traced.head, in_place=True
    )  # runs it, which nobody can do with operators of ONNX
    with_operators(traced)
    for name, graph in graphs.items():
        save(graph, folder / f"{name}.onnx", name)
    if precision == "bf16":
        for name in graphs:
            store_in_bf16(folder / f"{name}.onnx")
    limits = largest_of(folder, model, examples) if precision == "int8" and shortlist is None else {}
    if precision == "int8" and not sum(quantize(folder / f"{name}.onnx", limits.get(name)) for name in graphs):
        raise ExportError("No matrix of this model is large enough to be worth 8 bits. Export it with `--precision fp32`.")
    for name in graphs:
        put_beside(folder / f"{name}.onnx")
    if shortlist is not None:
        split(folder, shortlist.size)
        shortlist.save(folder)


def _examples(trained: TrainedModel) -> list[Batch]:
    """Validation records, each by itself, where 8 bits look at some; none where a run has none."""
    task = trained.task
    if trained.precision != "int8" or not says_symbols(trained.model):
        return []
    encoded = [task.encode(record) for record in list(trained.samples())[:_RECORDS]]
    batches = [collate([example], task.source_spec, task.target_spec) for example in encoded]
    return [batch for batch in batches if batch.target is not None]


plugin = ExportPlugin(
    name="onnx",
    summary="A folder that ONNX Runtime runs, opened like a run; needs the extra `onnx`.",
    export=export,
    precisions=("fp32", "bf16", "int8"),
    engine=True,
    shortlists=True,
)

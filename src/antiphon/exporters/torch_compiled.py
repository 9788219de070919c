"""Programs of torch.export compiled for this CPU by AOTInductor, the ahead-of-time compiler of PyTorch 2 (Ansel et al. 2024).

Unusual here: what is compiled runs on processors that know the same instructions as this one, by the torch that compiled it. Both are
written beside the files (`engines.torch.this_machine`), since on another processor it would end with an illegal instruction instead of an
error.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch.export import ExportedProgram

from antiphon.errors import ExportError
from antiphon.training.compiler import lacks


def save_compiled(programs: Mapping[str, ExportedProgram], folder: Path) -> None:
    """Compile each program into a file. Raises ExportError without a C++ compiler, and for programs that it cannot compile."""
    from torch._inductor import aoti_compile_and_package

    missing = lacks(torch.device("cpu"), headers=False)
    if missing:
        raise ExportError(f"`engine.compiled` must be false here: {missing}.")
    recurrent = {torch.ops.aten.lstm.input, torch.ops.aten.gru.input}
    for name, program in programs.items():
        if any(node.target in recurrent for node in program.graph.nodes):
            raise ExportError(
                f"`engine.compiled` holds no LSTM or GRU over a whole sequence, which AOTInductor computes otherwise, but the graph"
                f" `{name}` has one. Leave it false."
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of parts of torch about other parts of torch
                aoti_compile_and_package(program, package_path=str((folder / f"{name}.pt2").absolute()))
        except Exception as error:  # of many kinds: of the compiler, of the linker, of an operation that it does not know
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise ExportError(
                f"torch cannot compile the graph `{name}` of this model: {reason:.300}. Export it with `--set engine.compiled=false`."
            ) from error

"""ONNX Runtime (onnxruntime.ai): runs the graphs that `exporters/onnx.py` writes on the CPU."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from antiphon.contracts.engine import EnginePlugin, Exported
from antiphon.contracts.model import Seq2SeqModel
from antiphon.engines.graphs import open_graphs
from antiphon.engines.interface import Run
from antiphon.engines.onnx_binding import Binding
from antiphon.errors import CheckpointError, ConfigError

NEXT = "next_"  # before an output that is named as an input, since in a file no two values have one name

_SLOWER = ["SkipLayerNormFusion"]
"""Optimizations of ONNX Runtime that make graphs slower: a norm in one operator with the sum that it is of takes four times as long."""


@final
class OnnxGraphs:
    """A session for each file `NAME.onnx` of a folder, with as many threads as torch may use."""

    def __init__(self, folder: Path):
        runtime = _runtime()
        self._sessions = {path.stem: _session(runtime, path) for path in sorted(folder.glob("*.onnx"))}
        self._inputs = {name: [one.name for one in session.get_inputs()] for name, session in self._sessions.items()}
        self._outputs = {name: [one.name.removeprefix(NEXT) for one in session.get_outputs()] for name, session in self._sessions.items()}

    def run(self, graph: str, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """All outputs of a graph."""
        given = {name: np.ascontiguousarray(inputs[name].numpy()) for name in self._inputs[graph]}
        found = self._sessions[graph].run(None, given)
        return {name: torch.from_numpy(array) for name, array in zip(self._outputs[graph], found, strict=True)}

    def reads(self, graph: str, name: str) -> bool:
        """As `interface.Binds.reads`."""
        return name in self._inputs.get(graph, ())

    def bind(self, graph: str, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> Run:
        """Implements `interface.Binds.bind`. No output of such a graph may have the name of an input."""
        given = {name: inputs[name] for name in self._inputs[graph]}
        return Binding(self._sessions[graph], given, outputs, [name for name in self._outputs[graph] if name not in outputs])


def open_engine(exported: Exported) -> Seq2SeqModel:
    """The model in a folder. Raises ConfigError if ONNX Runtime is missing or too old, CheckpointError for damaged files."""
    return open_graphs(OnnxGraphs(exported.folder), exported)


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError("The engine `onnx` needs ONNX Runtime: pip install '.[onnx]' (or onnxruntime alone).") from error
    return onnxruntime


def _session(runtime: Any, path: Path) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    # Threads that wait are to sleep: beside anything else on the machine, spinning ones double the time that is computed.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=_SLOWER)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if any(word in reason for word in ("opset", "ir_version", "IR version", "not a registered function/op", "NOT_IMPLEMENTED")):
            raise ConfigError(
                f"{path} needs a newer ONNX Runtime than {runtime.__version__}: pip install --upgrade onnxruntime. ({reason:.200})"
            ) from error
        raise CheckpointError(f"{path} cannot be opened by ONNX Runtime: {reason:.200}. Export the model again.") from error


plugin = EnginePlugin(name="onnx", summary="ONNX Runtime on the processor; needs the extra `onnx`, of which onnxruntime.", open=open_engine)

"""A float32 graph to one whose products with constant weights are in 8 bits, each row with a scale of its own.

    x ──┬────────────────── Div ─ QuantizeLinear ─ MatMulInteger ─ Cast ─ Mul ─ Mul ─ [Add]
        └─ Abs ─ ReduceMax ──┴────────────────────────────────────────────┘ scale     bias

ONNX Runtime's own dynamic quantization has one scale for a whole tensor, so that a row's result depends on its neighbours and on padding.
Here it depends on the row alone. Sums of products are whole numbers, equal on every processor and in any order (`int8_weights.py`).

What reads several matrices is rounded once. A row of zeros divides 0 by 0: whatever whole numbers that becomes are multiplied by 0 again.
Inputs that are never negative (behind a ReLU) use all 255 steps. Tables of symbols have a scale for each symbol.

Convolutions and recurrent layers are stored in 8 bits and computed in float32: a recurrence in whole numbers (a `Scan` over the operators
above) takes as long as ONNX Runtime's in float32, and its own dynamic one has one scale for the whole batch.

The scale of the row is multiplied before that of the column: for the other order ONNX Runtime 1.32 puts in a fused operator that multiplies
the bias, too, by the scale of the row (`findings/fused-row-scale.sh`).
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from antiphon.exporters.int8_weights import FEWEST, by_column, by_output, worth

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

FEWEST_OF_TABLE = 2**14
"""Smaller tables of symbols stay as they are."""
STORED_ONLY = {"Conv": ((1,), 1), "GRU": ((1, 2), 2), "LSTM": ((1, 2), 2), "RNN": ((1, 2), 2)}
"""Operators whose weights (inputs of these places) are stored in 8 bits, one scale for each entry of so many leading axes."""
NEVER_NEGATIVE = {"Relu", "Sigmoid", "Softmax"}
ONLY_SHAPES = {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Expand", "Identity", "Cast", "Transpose", "Slice", "Split", "Clip", "Max"}
"""What symbols may pass through on their way from an input to their table."""


def to_int8(model: "ModelProto") -> None:
    """Change a graph in place. Operators that cannot be written in 8 bits stay in float32; `float_share` says how much that is."""
    _Writer(model.graph, {}, "int8").write()


def float_share(model: "ModelProto") -> float:
    """The share of the weights' bytes that is still in float32."""
    from onnx import TensorProto, numpy_helper

    sizes = [(tensor.data_type, numpy_helper.to_array(tensor).nbytes) for tensor in model.graph.initializer]
    return sum(size for kind, size in sizes if kind == TensorProto.FLOAT) / max(sum(size for _, size in sizes), 1)


class _Writer:
    """One graph, and those inside of its operators."""

    def __init__(self, graph: "GraphProto", outer: Mapping[str, NDArray[Any]], prefix: str):
        from onnx import numpy_helper

        self.graph, self.prefix = graph, prefix  # names within a graph may not be those of one around it
        self.constants: dict[str, NDArray[Any]] = {**outer, **{one.name: numpy_helper.to_array(one) for one in graph.initializer}}
        self.made_by = {name: node for node in graph.node for name in node.output}
        self.inputs = {one.name for one in graph.input} - set(self.constants)
        self.nodes: list[NodeProto] = []
        self.rounded: dict[str, tuple[str, str, bool]] = {}
        """What was rounded already: its whole numbers, the largest of each row, whether it is never negative."""
        self.stored: set[str] = set()

    def write(self) -> None:
        for node in list(self.graph.node):
            self._inner_graphs(node)
            if not self._written(node):
                self.nodes.append(node)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        _forget_unread(self.graph)

    def _inner_graphs(self, node: "NodeProto") -> None:
        from onnx import AttributeProto

        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                _Writer(attribute.g, self.constants, f"{self.prefix}_{node.name or node.output[0]}_{attribute.name}").write()

    def _written(self, node: "NodeProto") -> bool:
        if node.op_type == "MatMul" and node.domain == "":
            weights = self._constant(node.input[1])
            if weights is None or not worth(weights) or self._constant(node.input[0]) is not None:
                return False
            self._product(node, weights, None)
            return True
        if node.op_type == "Gemm":
            return self._gemm(node)
        if node.op_type in STORED_ONLY:
            self._store_small(node)
        return node.op_type == "Gather" and self._table(node)

    def _store_small(self, node: "NodeProto") -> None:
        """Weights that are stored in 8 bits, and computed with in float32."""
        places, outputs = STORED_ONLY[node.op_type]
        for place in places:
            weights = self._constant(node.input[place])
            if weights is None or weights.dtype != np.float32 or weights.size < FEWEST:
                continue
            found, name = by_output(weights, outputs), f"{node.name or node.output[0]}_{place}"
            real = self._add("Cast", [self._store(f"{name}_weights", found.values)], f"{name}_real", to=1)
            node.input[place] = self._add("Mul", [real, self._store(f"{name}_scales", found.scales)], f"{name}_scaled")

    def _gemm(self, node: "NodeProto") -> bool:
        settings = _settings(node)
        weights = self._constant(node.input[1])
        if weights is None or settings.get("transA", 0):
            return False
        weights = weights.T if settings.get("transB", 0) else weights
        if not worth(weights):
            return False
        bias = node.input[2] if len(node.input) > 2 and node.input[2] else None
        if bias is not None and settings.get("beta", 1.0) != 1.0:
            bias = self._times(bias, np.float32(settings["beta"]), f"{node.output[0]}_bias")
        self._product(node, weights * np.float32(settings.get("alpha", 1.0)), bias)
        return True

    def _product(self, node: "NodeProto", weights: NDArray[np.float32], bias: str | None) -> None:
        source, said = node.input[0], node.output[0]
        whole, largest, unsigned = self._round(source)
        steps = 255 if unsigned else 127
        found = by_column(weights)
        values, scales = self._store(f"{said}_weights", found.values), self._store(f"{said}_scales", found.scales / np.float32(steps))
        zero = [] if unsigned else [self._store("zero", np.uint8(128))]
        sums = self._add("MatMulInteger", [whole, values, *zero], f"{said}_sums")
        real = self._add("Cast", [sums], f"{said}_real", to=1)
        scaled = self._add("Mul", [real, largest], f"{said}_of_row")
        if bias is None:
            self._say("Mul", [scaled, scales], said)
        else:
            self._say("Add", [self._add("Mul", [scaled, scales], f"{said}_unbiased"), bias], said)

    def _round(self, source: str) -> tuple[str, str, bool]:
        """Whole numbers of 8 bits, the largest absolute value of each row, and whether none is negative."""
        if source in self.rounded:
            return self.rounded[source]
        maker = self.made_by.get(source)
        unsigned = maker is not None and maker.op_type in NEVER_NEGATIVE
        absolute = source if unsigned else self._add("Abs", [source], f"{source}_absolute")
        last = self._store("last", np.array([-1], dtype=np.int64))
        largest = self._add("ReduceMax", [absolute, last], f"{source}_largest", keepdims=1)
        share = self._add("Div", [source, largest], f"{source}_share")
        step = self._store(f"step_{255 if unsigned else 127}", np.float32(1 / (255 if unsigned else 127)))
        zero = self._store(f"zero{'_unsigned' if unsigned else ''}", np.uint8(0 if unsigned else 128))
        whole = self._add("QuantizeLinear", [share, step, zero], f"{source}_whole")
        self.rounded[source] = whole, largest, unsigned
        return self.rounded[source]

    def _table(self, node: "NodeProto") -> bool:
        table = self._constant(node.input[0])
        if table is None or table.ndim != 2 or table.dtype != np.float32 or table.size < FEWEST_OF_TABLE or _settings(node).get("axis", 0):
            return False
        if not self._symbols(node.input[1]):
            return False
        said, found = node.output[0], by_output(table)
        values, scales = self._store(f"{node.input[0]}_rows", found.values), self._store(f"{node.input[0]}_scales", found.scales)
        taken = self._add("Gather", [values, node.input[1]], f"{said}_taken", axis=0)
        real = self._add("Cast", [taken], f"{said}_real", to=1)
        scale = self._add("Gather", [scales, node.input[1]], f"{said}_scale", axis=0)
        self._say("Mul", [real, scale], said)
        return True

    def _symbols(self, name: str) -> bool:
        """Whether indices are inputs of the graph, other than positions, which are computed."""
        while name not in self.inputs:
            maker = self.made_by.get(name)
            if maker is None or maker.op_type not in ONLY_SHAPES:
                return False
            name = maker.input[0]
        return True

    def _constant(self, name: str) -> NDArray[Any] | None:
        """The value of a constant, also of one that is only transposed."""
        if name in self.constants:
            return self.constants[name]
        maker = self.made_by.get(name)
        if maker is None or maker.op_type not in ("Transpose", "Identity"):
            return None
        inner = self._constant(maker.input[0])
        if inner is None or maker.op_type == "Identity":
            return inner
        return np.transpose(inner, _settings(maker).get("perm"))

    def _times(self, name: str, factor: np.float32, said: str) -> str:
        value = self._constant(name)
        if value is not None:
            return self._store(said, (value * factor).astype(np.float32))
        return self._add("Mul", [name, self._store(f"{said}_factor", factor)], said)

    def _say(self, operator: str, inputs: list[str], output: str) -> None:
        """An operator whose output has the name that it had."""
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"{self.prefix}_{output}_{operator}"))

    def _add(self, operator: str, inputs: list[str], output: str, **settings: Any) -> str:
        """An operator whose output is new; returns its name."""
        from onnx import helper

        name = f"{self.prefix}_{output}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=f"{name}_{operator}", **settings))
        return name

    def _store(self, name: str, value: Any) -> str:
        """A constant; returns its name."""
        from onnx import numpy_helper

        name = f"{self.prefix}_{name}"
        if name not in self.stored:
            self.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name))
            self.stored.add(name)
        return name


def _settings(node: "NodeProto") -> dict[str, Any]:
    from onnx import helper

    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def _forget_unread(graph: "GraphProto") -> None:
    """Take out what nothing reads any more: float32 weights, and operators that only turned them."""
    said = {one.name for one in graph.output}
    while True:
        read = said | _read(graph.node)
        kept = [node for node in graph.node if any(name in read for name in node.output)]
        if len(kept) == len(graph.node):
            break
        del graph.node[:]
        graph.node.extend(kept)
    weights = [one for one in graph.initializer if one.name in read]
    del graph.initializer[:]
    graph.initializer.extend(weights)


def _read(nodes: "Iterable[NodeProto]") -> set[str]:
    from onnx import AttributeProto

    found: set[str] = set()
    for node in nodes:
        found.update(node.input)
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                found |= _read(attribute.g.node) | {one.name for one in attribute.g.output}
    return found

"""Converts a float32 graph into one whose products with constant weights are in 8 bits, with a scale for each row, or a constant one.

    x ──┬────────────────── Div ─ QuantizeLinear ─ MatMulInteger ─ Cast ─ Mul ─ Mul ─ [Add]
        └─ Abs ─ ReduceMax ──┴────────────────────────────────────────────┘ scale     bias

ONNX Runtime's own dynamic quantization has one scale for a whole tensor, so that a row's result depends on its neighbours and on padding.
Here it depends on the row alone. Sums of products are whole numbers, equal on every processor and in any order (`int8_weights.py`).

    x ─ QuantizeLinear ─ MatMulIntegerToFloat                 where examples showed how large x becomes (`onnx_ranges.py`)
             scale        scale of columns, bias

What reads several matrices is rounded once. A row of zeros divides 0 by 0: whatever whole numbers that becomes are multiplied by 0 again.
Inputs that are never negative (behind a ReLU) use all 255 steps. Tables of symbols have a scale for each symbol; one that is the output
layer, too, is stored once.

Convolutions and recurrent layers are stored in 8 bits and computed in float32: a recurrence in whole numbers (a `Scan` over the operators
above) takes as long as ONNX Runtime's in float32, and its own dynamic one has one scale for the whole batch.

The scale of the row is multiplied before that of the column: for the other order ONNX Runtime 1.32 puts in a fused operator that multiplies
the bias, too, by the scale of the row (`findings/fused-row-scale.sh`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.exporters.int8_weights import FEWEST, by_column, by_output, worth

FEWEST_OF_TABLE = 2**14
"""Smaller tables of symbols are not rounded."""
STORED_ONLY = {"Conv": ((1,), 1), "GRU": ((1, 2), 2), "LSTM": ((1, 2), 2), "RNN": ((1, 2), 2)}
"""Operators whose weights (inputs at these positions) are only stored in 8 bits, with one scale for each entry of the given number of
leading axes."""
NEVER_NEGATIVE = {"Relu", "Sigmoid", "Softmax"}
ONLY_SHAPES = {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Expand", "Identity", "Cast", "Transpose", "Slice", "Split", "Clip", "Max"}
"""Operators that symbols may pass through on their way from an input to their table."""
GIVEN = {"values", "last", "x"}
"""Inputs that hold the user's values, where single entries of a row may be NaN."""
SPREADING = {"MatMul", "Gemm", "LayerNormalization", "Softmax", "GRU", "LSTM", "RNN"}
"""Operators that turn a row with one NaN into a row of NaN."""
_MICROSOFT = "com.microsoft"
"""The domain of the operators that ONNX Runtime has beside those of ONNX."""


def quantize(path: Path, limits: Mapping[str, float] | None = None) -> int:
    """Convert a file in place, as `to_int8` does."""
    import onnx

    model = onnx.load(path)  # with weights that are in a file beside it
    changed = to_int8(model, limits)
    onnx.save(model, path)
    path.with_name(f"{path.name}.data").unlink(missing_ok=True)
    return changed


def to_int8(model: Any, limits: Mapping[str, float] | None = None) -> int:
    """Convert a graph in place; returns how many matrices and tables are in 8 bits. All else stays in float32.

    `limits` are the largest absolute values of inputs of products, by their names in the graph: those have one scale for all rows.
    """
    from onnx import helper

    if limits and all(one.domain != _MICROSOFT for one in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_MICROSOFT, 1))
    return _Writer(model.graph, {}, "int8", limits or {}).write()


def rounded_inputs(model: Any) -> list[str]:
    """The names of what `to_int8` would round: inputs of products, but those within operators."""
    return _Writer(model.graph, {}, "int8", {}).inputs_of_products()


@dataclass(frozen=True)
class Rounded:
    """An input in whole numbers of 8 bits: the names of those, of their scale (a constant, or the largest of each row), of their zero."""

    whole: str
    scale: str
    zero: str
    unsigned: bool
    constant: bool


@dataclass(frozen=True)
class Matrix:
    """A constant that inputs are multiplied with from the left: the name of the stored tensor, whether it is transposed, and a factor."""

    weights: str
    turned: bool
    factor: float = 1.0

    def of(self, constants: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Its values (K, N)."""
        weights = constants[self.weights]
        weights = weights.T if self.turned else weights
        return weights if self.factor == 1 else weights * np.float32(self.factor)


class _Writer:
    """Rewrites one graph, and those nested in its operators."""

    def __init__(self, graph: Any, outer: Mapping[str, NDArray[Any]], prefix: str, limits: Mapping[str, float]):
        from onnx import numpy_helper

        self.graph, self.prefix, self.limits = graph, prefix, limits  # names within a graph may not be those of one around it
        self.constants: dict[str, NDArray[Any]] = {**outer, **{one.name: numpy_helper.to_array(one) for one in graph.initializer}}
        self.made_by = {name: node for node in graph.node for name in node.output}
        self.inputs = {one.name for one in graph.input} - set(self.constants)
        self.nodes: list[Any] = []
        self.stored: set[str] = set()
        self.rounded: dict[str, Rounded] = {}
        """What was rounded already."""
        self.added: set[str] = set()
        """What sums say that are within a product."""
        self.columns: dict[Matrix, tuple[str, NDArray[np.float32]]] = {}
        """Matrices that were written already: the name of their whole numbers (K, N), the scales of their columns."""
        tables = {Matrix(name, turned=True) for name in map(self._table_of, graph.node) if name is not None}
        self.tied = tables & {self._matrix_of(node) for node in graph.node}

    def write(self) -> int:
        """Rewrite the graph; returns how many matrices and tables are in 8 bits."""
        from onnx import TensorProto

        inner = sum(self._write_inner_graphs(node) for node in self.graph.node)
        for node in list(self.graph.node):
            if node.output[0] in self.added:
                continue
            if (matrix := self._matrix_of(node)) is not None:
                self._write_product(node, matrix)
            elif (table := self._table_of(node)) is not None:
                self._write_table(node, table)
            else:
                self._store_small(node)
                self.nodes.append(node)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        _forget_unread(self.graph)
        return inner + sum(1 for one in self.graph.initializer if one.data_type == TensorProto.INT8)

    def inputs_of_products(self) -> list[str]:
        """What is rounded, each once."""
        return list(dict.fromkeys(node.input[0] for node in self.graph.node if self._matrix_of(node) is not None))

    def _write_inner_graphs(self, node: Any) -> int:
        from onnx import AttributeProto

        graphs = {one.name: one.g for one in node.attribute if one.type == AttributeProto.GRAPH}
        prefix = f"{self.prefix}_{node.name or node.output[0]}"
        return sum(_Writer(graph, self.constants, f"{prefix}_{name}", {}).write() for name, graph in graphs.items())

    def _matrix_of(self, node: Any) -> Matrix | None:
        """The constant matrix of a product, if it is large enough for 8 bits."""
        settings = _settings(node)
        if node.op_type not in ("MatMul", "Gemm") or node.domain or settings.get("transA", 0):
            return None
        weights, turned = self._stored_as(node.input[1])
        if weights not in self.constants or self._stored_as(node.input[0])[0] in self.constants:
            return None
        matrix = Matrix(weights, turned ^ bool(settings.get("transB", 0)), float(settings.get("alpha", 1.0)))
        return matrix if worth(matrix.of(self.constants)) else None

    def _table_of(self, node: Any) -> str | None:
        """The name of a constant table in which symbols are looked up."""
        if node.op_type != "Gather" or _settings(node).get("axis", 0) or not self._symbols(node.input[1]):
            return None
        table = self.constants.get(node.input[0])
        large = table is not None and table.ndim == 2 and table.dtype == np.float32 and table.size >= FEWEST_OF_TABLE
        return node.input[0] if large else None

    def _symbols(self, name: str) -> bool:
        """Whether indices are inputs of the graph; positions are not, as they are computed."""
        while name not in self.inputs:
            maker = self.made_by.get(name)
            if maker is None or maker.op_type not in ONLY_SHAPES:
                return False
            name = maker.input[0]
        return True

    def _write_product(self, node: Any, matrix: Matrix) -> None:
        values, scales = self._columns(matrix)
        rounded = self._round(node.input[0], len(matrix.of(self.constants)))
        if rounded.constant:
            self._write_fused(node, rounded, values, scales)
            return
        said = node.output[0]
        scale = self._store(f"{said}_scales", scales / np.float32(255 if rounded.unsigned else 127))
        sums = self._add("MatMulInteger", [rounded.whole, values, *([] if rounded.unsigned else [rounded.zero])], f"{said}_sums")
        real = self._add("Cast", [sums], f"{said}_real", {"to": 1})
        scaled = self._add("Mul", [real, rounded.scale], f"{said}_of_row")
        bias = self._bias(node)
        if bias is None:
            self._say("Mul", [scaled, scale], said)
        else:
            self._say("Add", [self._add("Mul", [scaled, scale], f"{said}_unbiased"), bias], said)

    def _write_fused(self, node: Any, rounded: Rounded, values: str, scales: NDArray[np.float32]) -> None:
        """One operator for product, scale and bias, which there is for constant scales."""
        said, bias = node.output[0], self._bias(node)
        if bias is None and (adding := self._adding(said, len(scales))) is not None:
            said, bias = adding
            self.added.add(said)
        of_columns = self._store(f"{said}_scales", scales)
        vector = bias is not None and self.constants.get(bias, scales[:0]).shape == scales.shape
        inputs = [rounded.whole, values, rounded.scale, of_columns, rounded.zero, ""]
        if bias is None or vector:
            self._say("MatMulIntegerToFloat", [*inputs, bias] if bias is not None else inputs, said, _MICROSOFT)
        else:
            self._say("Add", [self._add("MatMulIntegerToFloat", inputs, f"{said}_unbiased", domain=_MICROSOFT), bias], said)

    def _adding(self, product: str, width: int) -> tuple[str, str] | None:
        """(What is said, the bias) where all that is done with a product is to add a constant to each column."""
        readers = [one for one in self.graph.node if product in one.input]
        if len(readers) != 1 or readers[0].op_type != "Add" or any(one.name == product for one in self.graph.output):
            return None
        (bias,) = [name for name in readers[0].input if name != product] or [product]
        return (readers[0].output[0], bias) if bias in self.constants and self.constants[bias].shape == (width,) else None

    def _bias(self, node: Any) -> str | None:
        """The bias of a Gemm."""
        if len(node.input) < 3 or not node.input[2]:
            return None
        beta = float(_settings(node).get("beta", 1.0))
        if beta == 1:
            return str(node.input[2])
        return self._add("Mul", [node.input[2], self._store(f"{node.output[0]}_beta", np.float32(beta))], f"{node.output[0]}_bias")

    def _columns(self, matrix: Matrix) -> tuple[str, NDArray[np.float32]]:
        """The name of a rounded matrix, and the scales of its columns; computed once for all its readers."""
        if matrix not in self.columns:
            found, name = by_column(matrix.of(self.constants)), f"{matrix.weights}_columns_{len(self.columns)}"
            if matrix in self.tied:  # turned when the file is opened
                values = self._add("Transpose", [self._store(f"{matrix.weights}_tied", found.values.T)], name, {"perm": [1, 0]})
            else:
                values = self._store(name, found.values)
            self.columns[matrix] = values, found.scales
        return self.columns[matrix]

    def _round(self, source: str, width: int) -> Rounded:
        """Rounded integers of 8 bits, computed once for all readers. Their scale is a constant, or the largest absolute value of each row.

        ReduceMax of ONNX Runtime passes over NaN. So to the largest of a row that may have one, its product with zeros is added.
        """
        if source not in self.rounded:
            maker = self.made_by.get(source)
            unsigned = maker is not None and maker.op_type in NEVER_NEGATIVE
            zero = self._store("zero_unsigned", np.uint8(0)) if unsigned else self._store("zero", np.uint8(128))
            steps, limit = 255 if unsigned else 127, self.limits.get(source)
            if limit is not None:
                step = self._store(f"{source}_step", np.float32(limit / steps))
                whole = self._add("QuantizeLinear", [source, step, zero], f"{source}_whole")
                self.rounded[source] = Rounded(whole, step, zero, unsigned, constant=True)
                return self.rounded[source]
            absolute = source if unsigned else self._add("Abs", [source], f"{source}_absolute")
            last = self._store("last", np.array([-1], dtype=np.int64))
            largest = self._add("ReduceMax", [absolute, last], f"{source}_largest", {"keepdims": 1})
            if self._may_be_no_number(source, set()):
                nothing = self._store(f"nothing_{width}", np.zeros((width, 1), dtype=np.float32))
                spread = self._add("MatMul", [source, nothing], f"{source}_no_number")
                largest = self._add("Add", [largest, spread], f"{source}_largest_number")
            share = self._add("Div", [source, largest], f"{source}_share")
            step = self._store(f"step_{steps}", np.float32(1 / steps))
            whole = self._add("QuantizeLinear", [share, step, zero], f"{source}_whole")
            self.rounded[source] = Rounded(whole, largest, zero, unsigned, constant=False)
        return self.rounded[source]

    def _may_be_no_number(self, name: str, seen: set[str]) -> bool:
        """Whether single numbers of a row may be NaN: those in the user's values, until an operator turns all of the row into NaN."""
        maker = self.made_by.get(name)
        if maker is None or name in seen:
            return name in GIVEN and name in self.inputs
        seen.add(name)
        return maker.op_type not in {*SPREADING, "Shape"} and any(self._may_be_no_number(source, seen) for source in maker.input)

    def _write_table(self, node: Any, table: str) -> None:
        said, symbols = node.output[0], node.input[1]
        tied = Matrix(table, turned=True)
        if tied in self.tied:
            scales = self._columns(tied)[1]
            values = f"{self.prefix}_{table}_tied"
        else:
            found = by_output(self.constants[table])
            values, scales = self._store(f"{table}_rows", found.values), found.scales
        taken = self._add("Gather", [values, symbols], f"{said}_taken", {"axis": 0})
        real = self._add("Cast", [taken], f"{said}_real", {"to": 1})
        scale = self._add("Gather", [self._store(f"{table}_scales", scales.reshape(-1, 1)), symbols], f"{said}_scale", {"axis": 0})
        self._say("Mul", [real, scale], said)

    def _store_small(self, node: Any) -> None:
        """Store weights in 8 bits which are used in float32."""
        places, outputs = STORED_ONLY.get(node.op_type, ((), 0))
        for place in places:
            weights = self._constant(node.input[place])
            if weights is None or weights.dtype != np.float32 or weights.size < FEWEST:
                continue
            found, name = by_output(weights, outputs), f"{node.name or node.output[0]}_{place}"
            real = self._add("Cast", [self._store(f"{name}_weights", found.values)], f"{name}_real", {"to": 1})
            node.input[place] = self._add("Mul", [real, self._store(f"{name}_scales", found.scales)], f"{name}_scaled")

    def _stored_as(self, name: str) -> tuple[str, bool]:
        """The name of a stored tensor that is only transposed or passed on, and whether it is transposed."""
        turned = False
        while (maker := self.made_by.get(name)) is not None and maker.op_type in ("Identity", "Transpose"):
            if maker.op_type == "Transpose":
                if _settings(maker).get("perm", [1, 0]) != [1, 0]:
                    break
                turned = not turned
            name = maker.input[0]
        return name, turned

    def _constant(self, name: str) -> NDArray[Any] | None:
        """The values of a constant, also of one whose axes were changed."""
        maker = self.made_by.get(name)
        if maker is None or name in self.constants:
            return self.constants.get(name)
        inner = self._constant(maker.input[0]) if maker.op_type in ("Identity", "Transpose", "Unsqueeze") else None
        if inner is None or maker.op_type == "Identity":
            return inner
        if maker.op_type == "Transpose":
            return np.transpose(inner, _settings(maker).get("perm"))
        axes = self._constant(maker.input[1])
        return None if axes is None else np.expand_dims(inner, tuple(axes.tolist()))

    def _say(self, operator: str, inputs: list[str], output: str, domain: str = "") -> None:
        """Add an operator whose output keeps an existing name."""
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"{self.prefix}_{output}_{operator}", domain=domain))

    def _add(self, operator: str, inputs: list[str], output: str, settings: Mapping[str, Any] | None = None, *, domain: str = "") -> str:
        """Add an operator with a new output; returns its name."""
        from onnx import helper

        name = f"{self.prefix}_{output}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=f"{name}_{operator}", domain=domain, **(settings or {})))
        return name

    def _store(self, name: str, value: Any) -> str:
        """Add a constant; returns its name."""
        from onnx import numpy_helper

        name = f"{self.prefix}_{name}"
        if name not in self.stored:
            self.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name))
            self.stored.add(name)
        return name


def _settings(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def _forget_unread(graph: Any) -> None:
    """Remove what nothing reads any more: float32 weights, and operators that only transposed them."""
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


def _read(nodes: "Iterable[Any]") -> set[str]:
    from onnx import AttributeProto

    found: set[str] = set()
    for node in nodes:
        found.update(node.input)
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                found |= _read(attribute.g.node) | {one.name for one in attribute.g.output}
    return found

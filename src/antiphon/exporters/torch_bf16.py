"""Programs of torch.export whose products with weights are in bf16 (Kalamkar et al. 2019), and everything between them in float32.

Unusual here: the model is traced as it is, and each product on the way is turned. Weights that are read in bf16 alone are then kept so.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, final

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.nn import functional
from torch.overrides import TorchFunctionMode


@final
class ProductsInBf16(TorchFunctionMode):
    """A context in which traced products and table look-ups use bf16; their results are float32 again."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Called for every torch function within the context."""
        given = dict(kwargs or {})
        if func is functional.linear:
            x, weight, *bias = (*args, *given.values())
            found: Tensor = func(x.bfloat16(), weight.bfloat16()).float()
            return found + bias[0] if bias and bias[0] is not None else found
        if func is functional.embedding:
            return func(args[0], args[1].bfloat16(), *args[2:], **given).float()
        return func(*args, **given)


def keep_in_bf16(program: ExportedProgram) -> None:
    """Store a weight in bf16 if all its readers convert it to bf16."""
    signature = program.graph_signature
    weights = signature.inputs_to_parameters | signature.inputs_to_buffers
    for node in list(program.graph.nodes):
        name = weights.get(node.name)
        if node.op != "placeholder" or name is None or not node.users:
            continue
        for reader in [one for one in node.users if one.target is torch.ops.aten._assert_tensor_metadata.default]:
            program.graph.erase_node(reader)  # of a type that it will not have
        readers = list(node.users)
        if not readers or not all(_turns(reader, node) for reader in readers):
            continue
        stores = program.state_dict if name in program.state_dict else program.constants
        weight = stores[name]
        assert isinstance(weight, Tensor), "weights are tensors"
        turned = weight.detach().bfloat16()
        stores[name] = torch.nn.Parameter(turned, requires_grad=False) if isinstance(weight, torch.nn.Parameter) else turned
        node.meta["val"] = readers[0].meta["val"]
        for reader in readers:
            reader.replace_all_uses_with(node)
            program.graph.erase_node(reader)
    program.graph_module.recompile()


def _turns(reader: torch.fx.Node, node: torch.fx.Node) -> bool:
    """Whether a node only converts another one to bf16."""
    value, given = reader.meta.get("val"), node.meta.get("val")
    if not isinstance(value, Tensor) or not isinstance(given, Tensor):
        return False
    return reader.target is torch.ops.aten.to.dtype and value.dtype == torch.bfloat16 and value.shape == given.shape

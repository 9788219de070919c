"""Our Transformer in Marian's names and layout: the reverse of `importers/marian.py`.

Matrices multiply from the left there, so ours are transposed, and those that we keep in one (queries, keys and values; gate and candidate)
are apart. A bias that we do not have is zeros.
"""

from collections.abc import Mapping
from typing import final

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.contracts.specs import TokenSpec
from antiphon.importers.rows import NEVER
from antiphon.layers.transformer_config import TransformerConfig

Array = Float[np.ndarray, "rows columns"]


@final
class MarianWeights:
    """`arrays` by Marian's names; `inputs` names for each matrix the module of ours that reads its input."""

    def __init__(self, ours: Mapping[str, Tensor], settings: TransformerConfig):
        self._ours = {name: tensor.detach().float().cpu().numpy() for name, tensor in ours.items()}
        self.arrays: dict[str, Array] = {}
        self.inputs: dict[str, str] = {}
        for layer in range(settings.encoder_layers):
            theirs, name = f"encoder_l{layer + 1}", f"encoder.{layer}"
            self._attention(theirs, name)
            self._feed_forward(theirs, name)
        for layer in range(settings.decoder_layers):
            theirs, name = f"decoder_l{layer + 1}", f"decoder.{layer}"
            if settings.decoder == "ssru":
                self._recurrence(f"{theirs}_rnn", name)
            else:
                self._attention(theirs, name)
            self._linear(f"{theirs}_context", "q", f"{name}.cross.query")
            self._linear(f"{theirs}_context", "kv", f"{name}.cross.key_value")
            self._linear(f"{theirs}_context", "o", f"{name}.cross.out")
            self._norm(f"{theirs}_context_Wo", f"{name}.cross_residual")
            self._feed_forward(theirs, name)

    def add_symbols(self, places: Int[np.ndarray, " V"], spec: TokenSpec, block: int) -> None:
        """Add the embedding of source, target and output layer, in the order of the vocabulary's own numbers (`places`, -1 where it has
        none), filled up to a multiple of `block` rows. Symbols that are never output get zeros there, and a bias that rules them out."""
        table = self._ours["target_positioned.frontend.embedding.weight"]
        bias = self._ours.get("head.bias", np.zeros(len(table), np.float32))
        rows = int(places.max()) + 1
        rows += -rows % block
        said = (places >= 0) & ~np.isin(np.arange(len(places)), (spec.pad, spec.start))
        self.arrays["Wemb"] = np.zeros((rows, table.shape[1]), np.float32)
        self.arrays["Wemb"][places[said]] = table[said]
        self.arrays["decoder_ff_logit_out_b"] = np.full((1, rows), NEVER, np.float32)
        self.arrays["decoder_ff_logit_out_b"][0, places[said]] = bias[said]
        self.inputs["Wemb"] = "head"

    def _linear(self, theirs: str, parts: str, ours: str) -> None:
        kernels = np.split(self._ours[f"{ours}.weight"], len(parts))
        for part, kernel in zip(parts, kernels, strict=True):
            self.arrays[f"{theirs}_W{part}"] = kernel.T
            self.inputs[f"{theirs}_W{part}"] = ours
        whole = self._ours.get(f"{ours}.bias", np.zeros(sum(map(len, kernels)), np.float32))
        for part, bias in zip(parts, np.split(whole, len(parts)), strict=True):
            self.arrays[f"{theirs}_b{part}"] = bias[None]

    def _attention(self, theirs: str, ours: str) -> None:
        self._linear(f"{theirs}_self", "qkv", f"{ours}.attention.query_key_value")
        self._linear(f"{theirs}_self", "o", f"{ours}.attention.out")
        self._norm(f"{theirs}_self_Wo", f"{ours}.attention_residual")

    def _recurrence(self, theirs: str, ours: str) -> None:
        gate, candidate = np.split(self._ours[f"{ours}.recurrence.gate_candidate.weight"], 2)
        self.arrays[f"{theirs}_Wf"], self.arrays[f"{theirs}_W"] = gate.T, candidate.T
        self.inputs |= dict.fromkeys((f"{theirs}_Wf", f"{theirs}_W"), f"{ours}.recurrence.gate_candidate")
        self.arrays[f"{theirs}_bf"] = self._ours.get(f"{ours}.recurrence.gate_bias", np.zeros(len(gate), np.float32))[None]
        self._norm(f"{theirs}_ffn", f"{ours}.attention_residual")

    def _feed_forward(self, theirs: str, ours: str) -> None:
        self._linear(f"{theirs}_ffn", "1", f"{ours}.feed_forward.expand")
        self._linear(f"{theirs}_ffn", "2", f"{ours}.feed_forward.contract")
        self._norm(f"{theirs}_ffn_ffn", f"{ours}.feed_forward_residual")

    def _norm(self, theirs: str, ours: str) -> None:
        self.arrays[f"{theirs}_ln_scale"] = self._ours[f"{ours}.norm.weight"][None]
        self.arrays[f"{theirs}_ln_bias"] = self._ours[f"{ours}.norm.bias"][None]

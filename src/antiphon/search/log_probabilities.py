"""The log-probabilities of a step, which overwrite those of the previous step in memory.

Unusual here: for 160 rows of 8,000 symbols the system takes longer to hand out fresh memory, page by page, than the processor to fill it.
"""

from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


@final
class LogProbabilities:
    """Log-softmax for the steps of one search on the CPU. The result of a call is valid until the next one."""

    def __init__(self) -> None:
        self._place: Tensor | None = None

    def __call__(self, logits: Float[Tensor, "R V"]) -> Float[Tensor, "R V"]:
        """The log-softmax of each row in single precision. With gradients, or on another device, in newly allocated memory."""
        logits, rows = logits.float(), logits.shape[0]
        if logits.device.type != "cpu" or not torch.is_inference_mode_enabled():
            return logits.log_softmax(-1)
        if self._place is None or self._place.shape[0] < rows or self._place.shape[1] != logits.shape[1]:
            self._place = torch.from_numpy(np.empty(logits.shape, dtype=np.float32))  # in large pages, as torch does not ask for
        found: Tensor = torch.log_softmax(logits, -1, out=self._place[:rows])
        return found

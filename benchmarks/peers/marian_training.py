"""transformers' Marian in a bare training loop."""

from collections.abc import Callable
from typing import Any

from marian import marian
from torch import Tensor, nn
from training_loop import Arrays, run


def build(settings: Any) -> tuple[nn.Module, Callable[[nn.Module, Arrays], Tensor]]:
    """The model, and how it is called."""

    def logits(model: nn.Module, batch: Arrays) -> Tensor:
        mask = (batch["source"] != settings.pad).long()
        output = model(input_ids=batch["source"], attention_mask=mask, decoder_input_ids=batch["target"][:, :-1], use_cache=False)
        result: Tensor = output.logits
        return result

    return marian(settings.symbols, settings.pad, settings.start, settings.end), logits


if __name__ == "__main__":
    run(build)

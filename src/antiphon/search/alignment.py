"""The origin of a hypothesis's symbols: attention over the source and copied symbols, from one teacher-forced pass after the search.

During a search the weights would have to be computed, kept and reordered for every row at every step, most of them for hypotheses that
are thrown away; and fast attention kernels do not give them. One pass over the finished hypotheses costs less.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Copied, Hypothesis, Memory, Output, Padded, select_rows
from antiphon.errors import ConfigError
from antiphon.heads.pointer import Mixture
from antiphon.search.preparation import token_target
from antiphon.search.scoring import teacher_forced


@torch.inference_mode()
def traced(
    model: Seq2SeqModel, memory: Memory, hypotheses: Sequence[Sequence[Hypothesis]], *, alignment: bool, copies: bool = False
) -> list[list[Hypothesis]]:
    """The same hypotheses with the requested details: `copied`, if the model copies, and `alignment`, (T, S): the attention weights of each
    element.

    `memory` is that of `model.encode`, one row per source. S leaves out the source's padding. Only the outermost search asks, and only what
    its caller wants: for a short output, the pass takes a third of the search's time.

    Raises ConfigError when an alignment is asked of a model without attention.
    """
    if alignment and not model.gives_attention:
        raise ConfigError("`search.alignment` needs a model with attention, but this model has none. Set it to false.")
    copies = copies and model.copies
    if not alignment and not copies:
        return [list(own) for own in hypotheses]
    spec = token_target(model, "An alignment")
    found: list[list[Hypothesis]] = [[] for _ in hypotheses]
    lengths = memory.mask.sum(1).tolist()
    # One pass for the best of every source, one for the second best ...: so the memory is not copied per hypothesis.
    for rank in range(max((len(own) for own in hypotheses), default=0)):
        sources = [row for row, own in enumerate(hypotheses) if rank < len(own)]
        inputs, labels = teacher_forced([hypotheses[row][rank].elements for row in sources], spec, memory.mask.device)
        chosen = select_rows(memory, torch.tensor(sources, device=memory.mask.device))
        output = model.decode(inputs, chosen, attention=alignment)
        arrays = output.attention.float().cpu().numpy() if alignment and output.attention is not None else None
        origins = _origins(output, labels) if copies else None
        for index, row in enumerate(sources):
            one = hypotheses[row][rank]
            length = len(one.elements)
            if arrays is not None:
                one = replace(one, alignment=arrays[index, :length, : lengths[row]].copy())
            if origins is not None:
                one = replace(one, copied=Copied(origins[0][index, :length].copy(), origins[1][index, :length].copy()))
            found[row].append(one)
    return found


def _origins(output: Output, labels: Padded) -> tuple[np.ndarray, np.ndarray] | None:
    """Probability of being copied and place in the source, for each label; None for a model that does not copy."""
    if not isinstance(output.head, Mixture):
        return None
    probability, place = output.head.origins(output.features, labels.values)
    return probability.float().cpu().numpy(), place.cpu().numpy()

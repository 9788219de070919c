"""The attention over the source behind hypotheses, read off one teacher-forced pass after the search.

During a search the weights would have to be computed, kept and reordered for every row at every step, most of them for hypotheses that
are thrown away; and fast attention kernels do not give them. One pass over the finished hypotheses costs less.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from antiphon.errors import ConfigError
from antiphon.interfaces import Seq2SeqModel
from antiphon.search.preparation import token_target
from antiphon.search.scoring import teacher_forced
from antiphon.sequences import Hypothesis, Memory, select_rows


@torch.inference_mode()
def align(model: Seq2SeqModel, memory: Memory, hypotheses: Sequence[Sequence[Hypothesis]]) -> list[list[Hypothesis]]:
    """The same hypotheses with their `alignment`, (T, S): the weights with which each element was said.

    `memory` is that of `model.encode`, one row per source. S leaves out the source's padding.

    Raises ConfigError when the model has no attention.
    """
    spec = token_target(model, "An alignment")
    aligned: list[list[Hypothesis]] = [[] for _ in hypotheses]
    lengths = memory.mask.sum(1).tolist()
    # One pass for the best of every source, one for the second best ...: so the memory is not copied per hypothesis.
    for rank in range(max((len(own) for own in hypotheses), default=0)):
        sources = [row for row, own in enumerate(hypotheses) if rank < len(own)]
        inputs, _ = teacher_forced([hypotheses[row][rank].elements for row in sources], spec, memory.mask.device)
        chosen = select_rows(memory, torch.tensor(sources, device=memory.mask.device))
        weights = model.decode(inputs, chosen, attention=True).attention
        if weights is None:
            raise ConfigError("`search.alignment` needs a model with attention, but this model has none. Set it to false.")
        arrays = weights.float().cpu().numpy()
        for index, row in enumerate(sources):
            best = hypotheses[row][rank]
            aligned[row].append(replace(best, alignment=arrays[index, : len(best.elements), : lengths[row]].copy()))
    return aligned

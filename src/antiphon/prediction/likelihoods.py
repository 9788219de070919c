"""The log-likelihood of known series under the distributions that a model predicts for them: teacher-forced, step by step."""

import numpy as np
import torch
from jaxtyping import Float
from torch.distributions import Distribution

from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Batch
from antiphon.contracts.specs import ValueSpec
from antiphon.errors import ConfigError
from antiphon.heads.draws import sized
from antiphon.losses.observed import observed


@torch.inference_mode()
def log_likelihoods(model: Seq2SeqModel, batch: Batch, slopes: Float[np.ndarray, "B T C"]) -> list[Float[np.ndarray, " T"]]:
    """For each row the log-density of its steps (T,), summed over the observed channels, in the units of the data.

    slopes   the logarithm of how much a value grows in scaling it, for each value: a density is as much higher in the data's units. Counts
             have probabilities, which no scale changes

    Raises ConfigError when the model says no distribution.
    """
    assert isinstance(model.target, ValueSpec), "symbols have no density"
    said = sized(model(batch.source, batch.inputs).values, batch.labels.values, model.target)
    if not isinstance(said, Distribution):
        raise ConfigError(
            f"Scoring needs a `model.head` that is a distribution, such as `student_t`, but this model's gives {type(said).__name__}."
        )
    known = observed(batch.labels, model.target.channels)
    found = said.log_prob(known.values).double()
    if not getattr(said.support, "is_discrete", False):
        found = found + torch.from_numpy(slopes).to(found)
    steps = torch.where(known.present, found, 0.0).sum(-1).cpu().numpy()
    return [row[:length] for row, length in zip(steps, batch.labels.lengths.tolist(), strict=True)]

"""Length-adaptive average lagging (LAAL, Papi et al. 2022): as average lagging, without a reward for outputs that are too long."""

from antiphon.metrics.lagging import Lagging

plugin = Lagging("length_adaptive_lagging", "LAAL, words: average lagging without a reward for outputs that are too long", adaptive=True)

"""Length-adaptive average lagging (LAAL, Papi et al. 2022): like average lagging, but outputs that are too long gain nothing."""

from antiphon.metrics.lagging import Lagging

plugin = Lagging("length_adaptive_lagging", "LAAL, words: average lagging without a reward for outputs that are too long", adaptive=True)

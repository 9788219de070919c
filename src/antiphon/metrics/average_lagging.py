"""Average lagging (Ma et al. 2019): by how many words a simultaneous translation lags behind its source."""

from antiphon.metrics.lagging import Lagging

plugin = Lagging("average_lagging", "average lagging, words: how far a simultaneous translation is behind its source", adaptive=False)

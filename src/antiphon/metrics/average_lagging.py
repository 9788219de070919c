"""Average lagging (Ma et al. 2019): words that a simultaneous translation is behind."""

from antiphon.metrics.lagging import Lagging

plugin = Lagging("average_lagging", "average lagging, words: how far a simultaneous translation is behind its source", adaptive=False)

"""Character error rate (CER) over Unicode code points, spaces included; equal to jiwer's."""

from antiphon.metrics.edit_distance import ErrorRate, characters

plugin = ErrorRate("character_error_rate", "CER, percent: character errors per reference character", characters)

"""Word error rate (WER) of spoken content: lower case, without punctuation; `spoken_text` has the normalizer that the signature names."""

from antiphon.metrics.edit_distance import ErrorRate, tokens
from antiphon.metrics.spoken_text import SIGNATURE, spoken

plugin = ErrorRate("wer_normalized", "WER, percent, without case and punctuation", tokens, normalize=spoken, norm=SIGNATURE)

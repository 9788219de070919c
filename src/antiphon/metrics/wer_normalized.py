"""Word error rate (WER) of normalized speech transcripts: lower case, without punctuation; the signature names the normalizer in
`spoken_text`."""

from antiphon.metrics.edit_distance import ErrorRate, tokens
from antiphon.metrics.spoken_text import SIGNATURE, spoken

plugin = ErrorRate("wer_normalized", "WER, percent, without case and punctuation", tokens, normalize=spoken, norm=SIGNATURE)

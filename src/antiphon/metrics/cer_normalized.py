"""Character error rate (CER) of normalized speech transcripts: lower case, without punctuation; the signature names the normalizer in
`spoken_text`."""

from antiphon.metrics.edit_distance import ErrorRate, characters
from antiphon.metrics.spoken_text import SIGNATURE, spoken

plugin = ErrorRate("cer_normalized", "CER, percent, without case and punctuation", characters, normalize=spoken, norm=SIGNATURE)

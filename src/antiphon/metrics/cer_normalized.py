"""Character error rate (CER) of spoken content: lower case, without punctuation; `spoken_text` has what the signature names."""

from antiphon.metrics.edit_distance import ErrorRate, characters
from antiphon.metrics.spoken_text import SIGNATURE, spoken

plugin = ErrorRate("cer_normalized", "CER, percent, without case and punctuation", characters, normalize=spoken, norm=SIGNATURE)

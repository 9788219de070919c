"""Token error rate, where tokens are separated by whitespace: the phoneme error rate (PER) when the tokens are phonemes ("AE1 B D").

With several references (pronunciations), the nearest one counts, as is usual for grapheme-to-phoneme conversion.
"""

from antiphon.metrics.edit_distance import ErrorRate, tokens

plugin = ErrorRate("token_error_rate", "token (phoneme) error rate, percent: errors per reference token, nearest reference", tokens)

"""Searches find hypotheses, given a model's step. They know memories, states and symbols, but no model class, tokenizer or task.

limits        how long a hypothesis may become
processors    what may be said next: forced openings, banned phrases, repetition
preparation   what every search does before its first step
forecasts     what searches for real values share
randomness    random numbers that belong to a source
greedy        the likeliest symbol at each step
sampling      symbols drawn at random
beam          the best hypotheses found by keeping several at each step
mbr           the candidate most similar to all others
rollout       real values step by step, along sample paths
direct        real values, all steps at once
scorer        what has a say in the ranking beside the model; `scorers` lists those that settings name:
              `joint` (frames), `fusion` (language models), `length_reward`, `hot_words`, `coverage`, and
constraints   required phrases, for the beam search
ensemble      several models as one
scoring       the log-probability of given targets
alignment     the attention over the source behind each hypothesis
"""

"""The settings of all tasks with two texts, and checks for contradictions among them."""

from typing import Protocol, runtime_checkable

from antiphon.features.text_config import TextConfig
from antiphon.tasks.source_factors import FactorConfig


@runtime_checkable
class TextPairsSettings(Protocol):
    """The common settings of such tasks; the fields of the configs describe them."""

    @property
    def source(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def vocabulary(self) -> TextConfig | None: ...
    @property
    def source_vocabulary(self) -> TextConfig | None: ...
    @property
    def target_vocabulary(self) -> TextConfig | None: ...
    @property
    def source_prefix(self) -> str: ...
    @property
    def target_prefix(self) -> str: ...
    @property
    def tags(self) -> tuple[str, ...]: ...
    @property
    def open_words(self) -> int: ...
    @property
    def alignment(self) -> str | None: ...
    @property
    def source_factors(self) -> dict[str, FactorConfig] | None: ...


def check_settings(settings: TextPairsSettings) -> None:
    """Raises ValueError for settings that contradict each other; for `__post_init__` of a config."""
    sides = (settings.source_vocabulary, settings.target_vocabulary)
    if settings.vocabulary is not None and sides != (None, None):
        raise ValueError("give either `vocabulary` for both sides, or `source_vocabulary` and `target_vocabulary`.")
    if (settings.source_vocabulary is None) != (settings.target_vocabulary is None):
        raise ValueError("`source_vocabulary` and `target_vocabulary` go together; use `vocabulary` for a joint one.")
    if any(side is not None and side.kind == "pretrained" for side in sides):
        raise ValueError("a `pretrained` tokenizer serves both sides: give it as `vocabulary`.")
    if settings.vocabulary is not None and settings.vocabulary.kind == "pretrained" and settings.tags:
        raise ValueError("`tags` must be left out with a `pretrained` tokenizer, to which no pieces can be added. Use `source_prefix`.")
    if settings.vocabulary is not None and settings.vocabulary.kind == "pretrained" and settings.source_factors:
        raise ValueError("`source_factors` must be left out with a `pretrained` tokenizer, whose model does not read them.")
    for vocabulary in (settings.vocabulary, *sides):
        if vocabulary is not None and vocabulary.prefix:
            raise ValueError("use `source_prefix` or `target_prefix` of the task instead of `prefix` of a vocabulary.")

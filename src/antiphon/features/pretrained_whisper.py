"""Differences of Whisper's tokenizer from those for texts (extra `hf`): the beginning of an output, and forbidden symbols.

    <|startoftranscript|> <|de|> <|transcribe|> <|notimestamps|> ... <|endoftext|>      models of many languages
    <|startoftranscript|> <|notimestamps|> ... <|endoftext|>                            models of English alone

The two languages that a recipe names are that of the speech and that of the text: equal ones transcribe, others translate. Nothing but
English can be translated into. The symbols are put around a text by the tokenizer itself, as transformers prepares labels.
"""

from pathlib import Path
from typing import Any

from antiphon.errors import ConfigError, nearest
from antiphon.features.published import settings_in

_MULTILINGUAL = 51_865  # so many symbols, or more, have the models that know more than English
# What `generate` must know of a Whisper besides the search.
_KEPT = ("is_multilingual", "lang_to_id", "task_to_id", "no_timestamps_token_id", "alignment_heads", "max_initial_timestamp_index")


def is_whisper(folder: Path) -> bool:
    """Whether the tokenizer in a folder is Whisper's, according to its files."""
    return str(settings_in(folder / "tokenizer_config.json").get("tokenizer_class")).startswith("Whisper") or (
        settings_in(folder / "config.json").get("model_type") == "whisper"
    )


def begin_with(tokenizer: Any, languages: tuple[str, str] | None) -> None:
    """Make the tokenizer put language and task before texts, and the symbol for no timestamps."""
    if languages is None:
        tokenizer.language = tokenizer.task = None
        tokenizer.set_prefix_tokens(predict_timestamps=False)
        return
    spoken, written = languages
    tokenizer.set_prefix_tokens(spoken, "transcribe" if spoken == written else "translate", predict_timestamps=False)


def check_languages(languages: tuple[str, str] | None, name: str, known: set[str]) -> None:
    """Raise ConfigError if `languages` are missing, too many or unknown; `known` is empty for English-only models."""
    if not known:
        if languages is not None:
            raise ConfigError(f"`vocabulary.languages` must be left out: {name} knows only English.")
        return
    if languages is None:
        raise ConfigError(
            f"`vocabulary.languages` is missing: {name} knows many. Name that of the speech and that of the text: [de, de] transcribes,"
            " [de, en] translates."
        )
    from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE as CODES

    for code in languages:
        if code not in known:
            named = CODES.get(code.lower(), code[:2].lower())  # a name, or a longer code such as deu_Latn
            hint = f" Did you mean `{named}`?" if named in known else nearest(code, known)
            raise ConfigError(f"`vocabulary.languages` must be codes of {name}, but {code!r} is none.{hint}")
    spoken, written = languages
    if written not in (spoken, "en"):
        raise ConfigError(
            f"`vocabulary.languages` must end with {spoken} (transcribe) or en (translate), which is all that {name} writes, but ends with"
            f" {written}."
        )


def known_languages(tokenizer: Any, facts: dict[str, Any], size: int) -> set[str]:
    """The codes of a model's languages; none for an English-only model, though its tokenizer has symbols for other languages, too."""
    if not facts.get("is_multilingual", size >= _MULTILINGUAL):
        return set()
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    listed = {str(symbol).strip("<|>") for symbol in facts.get("lang_to_id") or ()}
    pieces = tokenizer.get_vocab()
    return listed or {code for code in LANGUAGES if f"<|{code}|>" in pieces}


def kept_of(generation: dict[str, Any]) -> dict[str, Any]:
    """The parts of a model's generation config without counterpart in our settings: languages, tasks, and the alignment heads."""
    return {name: generation[name] for name in _KEPT if generation.get(name) is not None}


def suppressed_of(generation: dict[str, Any], name: str, size: int) -> tuple[int, ...]:
    """The symbols in `suppress_tokens` or `begin_suppress_tokens`; negative numbers mean that there are none."""
    return tuple(sorted({int(symbol) for symbol in generation.get(name) or () if 0 <= int(symbol) < size}))

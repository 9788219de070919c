"""Chooses the model that transcribes a recording: by its name, by the spoken language, and by whether it translates.

What languages a model has is known of a Whisper (`task.vocabulary.languages`), and of a model that is called after one (`de`) or two
(`de-en`). Of others it is not known, and nothing is concluded from that.
"""

import re
from collections.abc import Sequence

from antiphon.serving.languages import code_of, is_language, pair_of
from antiphon.serving.pool import Pool
from antiphon.serving.refused import RefusedError
from antiphon.serving.service import Service

ANY = re.compile(r"(?:whisper|gpt-).*")
"""Names of OpenAI's models, which its clients send to any server: they stand for any model that can do the task."""

Languages = tuple[str | None, str | None]
"""The languages of the speech and of the text; None where unknown."""


def languages_of(pool: Pool) -> Languages:
    """What is known about the languages of a model."""
    if pool.card is not None and pool.card.languages is not None:
        return pool.card.languages
    name = pool.served.name
    return (name, name) if is_language(name) else pair_of(name) or (None, None)


def translates(pool: Pool) -> bool:
    """Whether a model is known to write another language than that of the speech."""
    heard, written = languages_of(pool)
    return heard is not None and written is not None and not _alike(heard, written)


def listener(service: Service, model: str | None, spoken: Sequence[str] = (), *, into_english: bool = False) -> Pool:
    """The model that a request asks for.

    model         its name; None, or the name of one of OpenAI's, is the first one that can do it
    spoken        languages that may be spoken; none where it is not known
    into_english  whether it must translate into English

    Raises RefusedError when there is none.
    """
    hearing = [pool for pool in service.pools.values() if pool.card is not None and pool.card.hears]
    if model is not None and (model in service.pools or not ANY.fullmatch(model)):
        return _named(service.named(model), spoken, into_english=into_english)
    if not hearing:
        raise RefusedError(404, "No model here recognizes speech: serve a run of speech recognition.")
    able = [pool for pool in hearing if (_into_english(pool) if into_english else not translates(pool))]
    if not able:
        what = "translates speech into English" if into_english else "writes the language that it hears; /v1/audio/translations may do"
        raise RefusedError(404, f"No model here {what}.")
    known = [pool for pool in able if _hears(pool, spoken) is True]
    maybe = [pool for pool in able if _hears(pool, spoken) is None]
    if not known and not maybe:
        heard = ", ".join(sorted({str(languages_of(pool)[0]) for pool in able}))
        raise RefusedError(400, f"`language` must be one that a model here recognizes ({heard}), but is {', '.join(spoken)}.")
    return (known or maybe)[0]


def _named(pool: Pool, spoken: Sequence[str], *, into_english: bool) -> Pool:
    assert pool.card is not None, "started before"
    if not pool.card.hears:
        raise RefusedError(400, f"`model` must be one that recognizes speech, but `{pool.served.name}` is one of {pool.card.task}.")
    if into_english and not _into_english(pool):
        raise RefusedError(
            400,
            f"`model` must be one that translates into English, but of `{pool.served.name}` that is not known. A Whisper with `languages`"
            " [de, en] does, and a model that is served as `de-en=RUN`.",
        )
    if _hears(pool, spoken) is False:
        raise RefusedError(400, f"`language` must be {languages_of(pool)[0]} for `{pool.served.name}`, but is {', '.join(spoken)}.")
    return pool


def _into_english(pool: Pool) -> bool:
    return translates(pool) and _alike(str(languages_of(pool)[1]), "en")


def _hears(pool: Pool, spoken: Sequence[str]) -> bool | None:
    """Whether the model understands one of these languages; None where that is unknown, or where the request names none."""
    heard = languages_of(pool)[0]
    return None if heard is None or not spoken else any(_alike(heard, language) for language in spoken)


def _alike(one: str, other: str) -> bool:
    return _base(one) == _base(other)


def _base(code: str) -> str:
    return re.split("[-_]", code_of(code).lower())[0]

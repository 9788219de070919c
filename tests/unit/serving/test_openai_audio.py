"""OpenAI's own client is answered in every form that it can ask for, by a tiny model that really hears."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx2
import numpy as np
import openai
import pytest
import soundfile

from antiphon.serving.app import application
from antiphon.serving.pool import Served
from antiphon.serving.settings import ServeConfig
from antiphon.serving.worker import Card, card_of
from antiphon.tasks.speech_recognition.subtitles import cues, written
from tests.tiny_listener import RATE, Listener, listener, sound
from tests.toy_worker import CARD, Toy

HEARS = Card("speech_recognition", ("audio",), False, True, 16000, {})


@pytest.fixture(scope="module", autouse=True)
def model() -> Iterator[None]:
    Listener.model = listener(longest=1.0)
    yield
    del Listener.model


def recorded(kind: str = "WAV", seconds: float = 3.0) -> bytes:
    file = io.BytesIO()
    samples = np.concatenate([sound(seconds / 2), np.zeros(RATE, dtype=np.float32), sound(seconds / 2)])
    soundfile.write(file, samples, RATE, format=kind)
    return file.getvalue()


def run(
    body: Callable[[openai.AsyncOpenAI], Awaitable[None]], *names: str, make: Any = Listener, key: str = "any", **settings: Any
) -> None:
    """Ask models of some names as OpenAI's client does."""

    async def main() -> None:
        Toy.reset(is_open=True, card=HEARS)
        app = application(
            [Served(name, (f"runs/{name}",)) for name in names or ("ears",)], ServeConfig(**{"wait": 0, **settings}), make=make
        )
        await app.state.service.start()
        async with openai.AsyncOpenAI(
            api_key=key,
            base_url="http://here/v1",
            http_client=openai.DefaultAsyncHttpxClient(transport=httpx2.ASGITransport(app)),
            max_retries=0,
        ) as client:
            await asyncio.wait_for(body(client), 120)

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_recording_is_its_text(kind: str) -> None:
    content = recorded(kind)
    expected = Listener.model.predict(content)
    assert len(expected.text) > 3

    async def body(client: openai.AsyncOpenAI) -> None:
        asked = {"model": "whisper-1", "file": content}
        found = await client.audio.transcriptions.create(**asked, prompt="names", temperature=0.0, language="de")
        assert found.text == expected.text
        assert found.usage is not None
        assert found.usage.seconds == 4
        assert await client.audio.transcriptions.create(**asked, response_format="text") == f"{expected.text}\n"

    run(body)


def test_subtitles_are_those_of_predict() -> None:
    content = recorded()
    details = Listener.model.predict(content).details

    async def body(client: openai.AsyncOpenAI) -> None:
        for form in ("srt", "vtt"):
            found: Any = await client.audio.transcriptions.create(model="ears", file=content, response_format=form)
            assert found == written(cues(details["segments"], details["words"]), form)

    run(body)


def test_segments_and_words_have_their_times() -> None:
    content = recorded()
    expected = Listener.model.with_search({"spans": True}).predict(content)
    assert len(expected.details["segments"]) > 1

    async def body(client: openai.AsyncOpenAI) -> None:
        asked = {"model": "ears", "file": content, "response_format": "verbose_json"}
        found = await client.audio.transcriptions.create(**asked, timestamp_granularities=["word", "segment"])
        assert (found.text, found.duration, found.language) == (expected.text, 4.0, "unknown")
        assert [word.model_dump(exclude_none=True) for word in found.words] == [
            {name: word[name] for name in ("word", "start", "end")} for word in expected.details["words"]
        ]
        assert [(one.start, one.end, one.text) for one in found.segments] == [
            (one["start"], one["end"], one["text"]) for one in expected.details["segments"]
        ]
        assert all(isinstance(one.avg_logprob, float) and one.tokens == [] for one in found.segments)
        plain = await client.audio.transcriptions.create(**asked)
        assert plain.words is None
        assert plain.segments == found.segments

    run(body)


def test_a_stream_is_the_text_in_pieces() -> None:
    content = recorded()
    expected = Listener.model.predict(content).text

    async def body(client: openai.AsyncOpenAI) -> None:
        stream = await client.audio.transcriptions.create(model="gpt-4o-transcribe", file=content, stream=True)
        events = [event async for event in stream]
        assert [event.type for event in events[-2:]] == ["transcript.text.delta", "transcript.text.done"]
        assert len(events) > 2
        assert "".join(event.delta for event in events[:-1]) == events[-1].text == expected

    run(body)


def test_what_goes_wrong_while_a_stream_is_made_is_an_error() -> None:
    async def body(client: openai.AsyncOpenAI) -> None:
        stream = await client.audio.transcriptions.create(
            model="ears", file=recorded(), stream=True, extra_body={"keywords": ["not in the vocabulary"]}
        )
        with pytest.raises(openai.APIError, match="must be what the vocabulary can write"):
            [event async for event in stream]

    run(body)


@pytest.mark.parametrize(
    ("asked", "status", "field", "message"),
    [
        ({"file": b"no sound at all, but quite a text"}, 400, "file", "cannot be read as audio"),
        ({"file": b""}, 400, "file", "is empty"),
        ({"model": "eras"}, 404, None, "There is no model `eras`; there are: ears. Did you mean `ears`?"),
        ({"response_format": "diarized_json"}, 400, "response_format", "must be one of json, text, srt, vtt, verbose_json"),
        ({"response_format": "srt", "stream": True}, 400, "stream", "needs `response_format` json"),
        ({"timestamp_granularities": ["word"]}, 400, "timestamp_granularities", "needs `response_format` verbose_json"),
        (
            {"timestamp_granularities": ["line"], "response_format": "verbose_json"},
            400,
            "timestamp_granularities",
            "must be word, segment",
        ),
        ({"include": ["logprobs"]}, 400, "include", "is not supported here"),
        ({"extra_body": {"keywords": ["%"]}}, 400, "file", "must be what the vocabulary can write"),
    ],
)
def test_what_cannot_be_done_is_told_as_openai_does(asked: dict[str, Any], status: int, field: str | None, message: str) -> None:
    async def body(client: openai.AsyncOpenAI) -> None:
        with pytest.raises(openai.APIStatusError) as refused:
            await client.audio.transcriptions.create(**{"model": "whisper-1", "file": recorded(), **asked})
        assert (refused.value.status_code, refused.value.param) == (status, field)
        assert message in str(refused.value)
        assert refused.value.type == "invalid_request_error"

    run(body)


def test_keys_and_bodies_that_are_too_large_are_told_alike() -> None:
    async def wrong(client: openai.AsyncOpenAI) -> None:
        with pytest.raises(openai.AuthenticationError, match="The API key is missing or wrong"):
            await client.audio.transcriptions.create(model="ears", file=recorded())

    async def right(client: openai.AsyncOpenAI) -> None:
        assert [one.id async for one in client.models.list()] == ["ears"]
        with pytest.raises(openai.APIStatusError, match="may have 1,000 bytes") as refused:
            await client.audio.transcriptions.create(model="ears", file=recorded())
        assert refused.value.status_code == 413
        assert refused.value.type == "invalid_request_error"

    run(wrong, api_key="geheim")
    run(right, api_key="geheim", key="geheim", max_body=1000)


def test_a_recording_may_not_be_too_long_by_any_way() -> None:
    async def body(client: openai.AsyncOpenAI) -> None:
        with pytest.raises(openai.APIStatusError, match=r"may last 2 seconds, but this one lasts 4\.0") as refused:
            await client.audio.transcriptions.create(model="ears", file=recorded())
        assert refused.value.status_code == 413

    run(body, max_seconds=2)


class Several(Toy):
    """Workers that all hear, but one that reads, and one that knows its languages from its run."""

    def __init__(self, served: Served, threads: int):
        super().__init__(served, threads)
        self.name = served.name

    async def card(self) -> Card:
        return CARD if self.name == "words" else replace(HEARS, languages=("nl", "en")) if self.name == "published" else HEARS


def test_models_are_found_by_language_and_by_what_they_write() -> None:
    async def body(client: openai.AsyncOpenAI) -> None:
        async def hears(model: str, language: str | None = None) -> str:
            before = {worker.name: len(worker.batches) for worker in Toy.made if isinstance(worker, Several)}
            asked = {"model": model, "file": recorded(), **({} if language is None else {"language": language})}
            await client.audio.transcriptions.create(**asked)
            (found,) = (worker.name for worker in Toy.made if isinstance(worker, Several) and len(worker.batches) > before[worker.name])
            return found

        assert await hears("whisper-1", "fr") == "fr"
        assert await hears("whisper-1", "German") == "de"
        assert await hears("whisper-1") == "fr", "the first one that writes what it hears"
        assert await hears("de-en", "de-AT") == "de-en"
        assert await hears("published") == "published"
        with pytest.raises(openai.BadRequestError, match=r"must be one that a model here recognizes \(de, fr\), but is it"):
            await hears("whisper-1", "it")
        with pytest.raises(openai.BadRequestError, match="`language` must be fr for `fr`, but is de"):
            await hears("fr", "de")
        with pytest.raises(openai.BadRequestError, match="must be one that recognizes speech, but `words` is one of translation"):
            await hears("words")

    run(body, "words", "de-en", "fr", "de", "published", make=Several)


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # as its client calls this, and there is nothing else for it
def test_speech_is_translated_by_models_that_are_known_to_do_so() -> None:
    async def body(client: openai.AsyncOpenAI) -> None:
        for model in ("whisper-1", "published", "de-en"):
            found = await client.audio.translations.create(model=model, file=recorded())
            assert found.text.endswith(" bytes")
        assert [len(worker.batches) for worker in Toy.made] == [0, 2, 1]
        with pytest.raises(openai.BadRequestError, match="must be one that translates into English, but of `fr`"):
            await client.audio.translations.create(model="fr", file=recorded())

    async def none(client: openai.AsyncOpenAI) -> None:
        with pytest.raises(openai.NotFoundError, match="No model here translates speech into English"):
            await client.audio.translations.create(model="whisper-1", file=recorded())

    run(body, "fr", "published", "de-en", make=Several)
    run(none, "fr", make=Several)


def test_a_card_says_at_which_rate_a_model_hears() -> None:
    card = card_of(Listener.model)
    assert (card.hears, card.sample_rate, card.languages) == (True, RATE, None)


def test_times_of_words_that_nobody_knows_are_refused() -> None:
    async def body(client: openai.AsyncOpenAI) -> None:
        with pytest.raises(openai.BadRequestError, match="must be segment for `fr`, which does not know when words are said"):
            await client.audio.transcriptions.create(
                model="fr", file=recorded(), response_format="verbose_json", timestamp_granularities=["word"]
            )

    run(body, "fr", make=Several)

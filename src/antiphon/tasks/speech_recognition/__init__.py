"""Speech recognition: transcribes recordings."""

from antiphon.contracts.task import TaskPlugin
from antiphon.tasks.speech_recognition.config import TEMPLATE, SpeechRecognitionConfig, recipe_defaults
from antiphon.tasks.speech_recognition.draft import draft
from antiphon.tasks.speech_recognition.task import SpeechRecognition

plugin = TaskPlugin(
    name="speech_recognition",
    summary="Speech to text: recordings and their transcripts.",
    Config=SpeechRecognitionConfig,
    build=SpeechRecognition,
    metrics=("word_error_rate", "character_error_rate"),
    template=TEMPLATE,
    draft=draft,
    defaults=recipe_defaults,
)

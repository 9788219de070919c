"""Summarization: predicts the summary of a document."""

from antiphon.contracts.task import TaskPlugin
from antiphon.tasks.summarization.config import TEMPLATE, SummarizationConfig
from antiphon.tasks.summarization.draft import draft
from antiphon.tasks.summarization.task import Summarization

plugin = TaskPlugin(
    name="summarization",
    summary="Long text to short text: summaries, headlines, synopses; with copying, length classes and lead baselines.",
    Config=SummarizationConfig,
    build=Summarization,
    metrics=("rouge1", "rouge2", "rouge_l"),
    template=TEMPLATE,
    draft=draft,
)

"""Checks which of our models Marian can represent. Others would load there without an error but give other outputs, so they are refused."""

from collections.abc import Sequence

from antiphon.contracts.engine import Precision
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ExportError
from antiphon.exporters.interface import TrainedModel
from antiphon.features.subwords import SubwordVocabulary
from antiphon.features.text import TextFeature
from antiphon.models.transformer import Transformer

_MOST_EPSILON = 1e-5
_MULTIPLE = 16  # of every width, for products in 8 bits; that of rows is filled up
# What a setting must be, and why.
_REQUIRED: tuple[tuple[str, tuple[object, ...], str], ...] = (
    ("norm_position", ("post",), "before attention, Marian norms the queries alone"),
    ("norm", ("layer",), "Marian has LayerNorm alone"),
    ("positions", ("sinusoidal",), "Marian adds sinusoids"),
    ("scale_embeddings", (True,), "Marian multiplies embeddings by the square root of `dim`"),
    ("gated", (False,), "Marian's feed-forward layers have no gate"),
    ("activation", ("relu", "silu"), "Marian's GELU is an approximation, x * sigmoid(1.702 x)"),
    ("window", (None,), "Marian's encoder sees the whole source"),
    ("chunk_length", (None,), "Marian's encoder sees the whole source"),
    ("wait_k", (None,), "Marian reads the whole source first"),
    ("tied_embeddings", ("all",), "only models with one embedding are written"),
)


def checked(trained: TrainedModel) -> tuple[Transformer, TextFeature, SubwordVocabulary]:
    """The model, its source text, and its vocabulary. Raises ExportError for settings that Marian would not follow."""
    model = trained.model
    if not isinstance(model, Transformer):
        raise ExportError(
            f"The exporter `marian` writes Transformers (`model.name: transformer`), but {trained.name} is a `{trained.architecture}`."
        )
    if not (isinstance(model.source, TokenSpec) and isinstance(model.target, TokenSpec)):
        raise ExportError(f"The exporter `marian` writes models of texts, but {trained.name} reads or writes values.")
    for name, allowed, reason in _REQUIRED:
        found = getattr(model.settings, name)
        if found not in allowed:
            said = " or ".join(_shown(value) for value in allowed)
            raise ExportError(f"`model.{name}` must be {said} for `--format marian`, but is {_shown(found)}: {reason}.")
    _check_sizes(model, trained.precision)
    head = model.settings.head
    if model.source.factors or (head is not None and head.name != "categorical"):
        what = f"`model.head: {head.name}`" if head is not None and not model.source.factors else "`task.source_factors`"
        raise ExportError(f"{what} must be left out for `--format marian`, which has nothing like it.")
    text, vocabulary = _text(trained)
    _check_start(model, model.target)
    return model, text, vocabulary


def _shown(value: object) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _check_sizes(model: Transformer, precision: Precision) -> None:
    settings = model.settings
    if settings.key_value_heads not in (None, settings.heads):
        raise ExportError(
            f"`model.key_value_heads` must be `heads` ({settings.heads}) for `--format marian`, but is {settings.key_value_heads}:"
            " Marian's heads share no keys."
        )
    epsilon = 1e-5 if settings.norm_epsilon is None else settings.norm_epsilon
    if epsilon > _MOST_EPSILON:
        raise ExportError(
            f"`model.norm_epsilon` must be at most {_MOST_EPSILON:g} for `--format marian`, but is {epsilon:g}: Marian adds 1e-9."
        )
    if settings.dim % 2:
        raise ExportError(f"`model.dim` must be even for `--format marian`, as Marian's sinusoids are, but is {settings.dim}.")
    for name in ("dim", "feed_forward_dim", "decoder_feed_forward_dim") if precision == "int8" else ():
        size = getattr(settings, name)
        if size is not None and size % _MULTIPLE:
            raise ExportError(
                f"`model.{name}` must be a multiple of {_MULTIPLE} for `--format marian --precision int8`, but is {size}."
                " `--precision fp32` takes any size."
            )


def _text(trained: TrainedModel) -> tuple[TextFeature, SubwordVocabulary]:
    features: Sequence[object] = trained.task.features
    source = features[0]
    if not (isinstance(source, TextFeature) and isinstance(source.vocabulary, SubwordVocabulary)):
        raise ExportError(
            f"The exporter `marian` writes a sentencepiece vocabulary, but {trained.name} has another. Train with `task.vocabulary.kind`"
            " unigram or bpe."
        )
    return source, source.vocabulary


def _check_start(model: Transformer, spec: TokenSpec) -> None:
    """Marian's decoder begins with zeros, whatever the embedding of the start symbol is; refuse other start embeddings."""
    embedding = model.target_positioned.frontend.embedding
    assert embedding is not None, "targets are symbols"
    start = float(embedding.weight[spec.start].detach().abs().max())
    if start > 0 and model.settings.start_embedding != "zeros":
        raise ExportError(
            "`model.start_embedding` must be zeros for `--format marian`, whose decoder reads zeros first, but is learned (its largest"
            f" number is {start:.2g}). Train with zeros; or, where it is small, see what they change with `antiphon evaluate RUN --set"
            " model.start_embedding=zeros`, and export with the same `--set`."
        )

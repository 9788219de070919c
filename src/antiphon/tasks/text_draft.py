"""Proposals for pairs of texts: vocabularies that suit the texts, and sizes of the model."""

from antiphon.contracts.drafting import ColumnFacts, Draft, Look, Proposal
from antiphon.features.vocabulary_size import subword_size
from antiphon.tasks.column_names import SOURCES, TARGETS, guess_pair, shown

_SINGLE = 1.5  # words on average: below, texts are single words, which are spelt
_FEW_WORDS, _OFTEN = 200, 10  # different ones, each said as often on average: phonemes, digits, labels

_LANGUAGE, _FORM = "language", "form"  # columns of files that people translate

WIDTHS = (128, 256, 512)


def draft(look: Look) -> Draft:
    """Propose settings for translation, and other tasks that turn a text into another one."""
    source, target = guess_pair(look, SOURCES, TARGETS, "translation")
    read, said = look.columns[source], look.columns[target]
    spelt = read.words <= _SINGLE * read.filled
    few = said.vocabulary is not None and len(said.vocabulary) <= min(_FEW_WORDS, said.words // _OFTEN)
    listed = few and said.words > _SINGLE * said.filled
    settings = {
        "task.source": Proposal(source, shown(read)),
        "task.target": Proposal(target, shown(said)),
        "model.name": Proposal("lstm", "learns most in so short a time; `transformer` (`preset: small`) when there are hours or a GPU"),
        "training.optimizer": Proposal({"name": "adamw", "learning_rate": 3e-3}, "what narrow LSTMs learn fastest with"),
    }
    tags = _tags(look)
    if tags is not None:
        settings["task.tags"] = tags
    dropped = ["model.preset"]
    if spelt or listed:
        kinds = ("character" if spelt else "unigram"), ("word" if listed else "character" if spelt else "unigram")
        reasons = (_why(read, kinds[0]), _why(said, kinds[1]))
        settings["task.source_vocabulary"] = Proposal(_vocabulary(read, kinds[0]), reasons[0])
        settings["task.target_vocabulary"] = Proposal(_vocabulary(said, kinds[1]), reasons[1])
        settings["model.tied_embeddings"] = Proposal("decoder", "two vocabularies: target and output share one matrix")
        dropped.append("task.vocabulary")
    else:
        size = subword_size(read.words + said.words, max(read.letters, said.letters))
        settings["task.vocabulary"] = Proposal({"kind": "unigram", "size": size.size}, size.reason)
    if listed:
        settings["evaluation.metrics"] = Proposal(["token_error_rate", "exact_match"], "a target is a list of symbols")
        settings["training.best"] = Proposal("token_error_rate", "the checkpoint with the fewest wrong symbols is kept")
    if listed and read.distinct < 0.99 * min(read.filled, 10_000):
        settings["evaluation.alternatives"] = Proposal(True, "some sources have several targets: any of them is right")
    return Draft(settings=settings, models=widths(), dropped=dropped, said=(f"Learns to turn {shown(read)} into {shown(said)}.",))


def _tags(look: Look) -> Proposal | None:
    """The columns without which one source has several correct targets: the language, and the plural form if there are three or more."""
    tags, reasons = list[str](), list[str]()
    language, form = look.columns.get(_LANGUAGE), look.columns.get(_FORM)
    if language is not None and language.distinct > 1:
        tags.append(_LANGUAGE)
        reasons.append(f"one model says several languages: {', '.join(sorted(language.vocabulary or ()))}")
    if form is not None and form.distinct > 2 and form.numbers:
        tags.append(_FORM)
        reasons.append("the plural has several forms")
    return Proposal(tags, "; ".join(reasons)) if tags else None


def widths() -> list[dict[str, Proposal]]:
    """The widths of one-layer LSTMs, larger for longer training."""
    return [{"dim": Proposal(width, "{passes}")} for width in WIDTHS]


def _vocabulary(facts: ColumnFacts, kind: str) -> dict[str, object]:
    if kind == "unigram":
        return {"kind": kind, "size": subword_size(facts.words, facts.letters).size}
    return {"kind": kind}


def _why(facts: ColumnFacts, kind: str) -> str:
    if kind == "word":
        return f"only {len(facts.vocabulary or ())} different words"
    return "single words, which are spelt" if kind == "character" else "subwords"

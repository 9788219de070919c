"""Compiles the steps of models where `engine.compiled` asks for it, and refuses it for models that take no steps."""

from collections.abc import Sequence

import torch

from antiphon.contracts.model import Seq2SeqModel, StepwiseModel
from antiphon.errors import ConfigError
from antiphon.recipe.assembly import Trained, needs_steps
from antiphon.search.compiled import CompiledSteps
from antiphon.search.ensemble import Ensemble

_WITHOUT = "Leave `engine.compiled` out."


def compiled(model: Seq2SeqModel, trained: Trained, device: torch.device) -> Seq2SeqModel:
    """The model with a compiled step; an exported model unchanged, since its engine takes the steps.

    Raises ConfigError for a model or a search without steps, for one whose steps are not ours to compile, and where nothing compiles.
    """
    if "engine" in trained.header:
        return model
    settings = trained.recipe.model
    settings = getattr(settings, "model", settings)  # adapters are beside those of the model that they adapt
    name = settings.name
    if not isinstance(model, StepwiseModel):
        raise ConfigError(f"`engine.compiled` compiles the steps of a decoder, and a model `{name}` takes none. {_WITHOUT}")
    if not needs_steps(trained.recipe.search):
        raise ConfigError(
            f"`engine.compiled` compiles the steps of a decoder, and the search `{trained.recipe.search.name}` takes none. {_WITHOUT}"
        )
    if name == "pretrained" or getattr(settings, "channels", None) == "independent":
        whose = "are those of transformers" if name == "pretrained" else "are those of each channel by itself"
        raise ConfigError(f"`engine.compiled` must be false for {trained.folder}, whose steps {whose}. {_WITHOUT}")
    from antiphon.training.compiler import lacks  # here, since predicting loads nothing of training otherwise

    missing = lacks(device)
    if missing:
        raise ConfigError(f"`engine.compiled` must be false here: {missing}.")
    return CompiledSteps(model)


def uncompiled(model: Seq2SeqModel) -> Seq2SeqModel:
    """The model with ordinary steps, for input that arrives in parts."""
    return model.model if isinstance(model, CompiledSteps) else model


def remarks_on_compiling(model: Seq2SeqModel) -> Sequence[str]:
    """One sentence for each model about what has been compiled so far."""
    members = model.models if isinstance(model, Ensemble) else [model]
    return [one.remark for one in members if isinstance(one, CompiledSteps) and one.remark is not None]

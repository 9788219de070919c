"""Transformers in CTranslate2: its own search where it finds the same hypotheses as Antiphon's, and Antiphon's search otherwise.

Unusual here: CTranslate2 has no function for one step. What it has is a search that can be forced to say given symbols, which tells the
logits on the way. So one step is a forced beginning, read and said anew: exact, and slower with every symbol. What is said in one go (a
hypothesis to be scored or aligned) costs no more than it does elsewhere.
"""

from typing import Any

import torch

from antiphon.contracts.engine import EnginePlugin, Exported
from antiphon.contracts.model import Seq2SeqModel
from antiphon.engines.ctranslate2_model import CTranslate2Transformer
from antiphon.engines.ctranslate2_whisper import CTranslate2Whisper
from antiphon.errors import CheckpointError, ConfigError, MissingPackageError

COMPUTE_TYPES = {"fp32": "float32", "bf16": "bfloat16", "int8": "int8_float32"}


def open_model(exported: Exported) -> Seq2SeqModel:
    """Open the model on the CPU. Raises what `EnginePlugin` says."""
    if exported.details.get("model") == "whisper":
        return CTranslate2Whisper(opened("Whisper", exported), exported)
    return CTranslate2Transformer(opened("Translator", exported), exported)


def opened(kind: str, exported: Exported) -> Any:
    """CTranslate2's own object for the files, with as many threads as torch uses."""
    try:
        import ctranslate2
    except ImportError as error:
        raise MissingPackageError("The engine `ctranslate2`", "ctranslate2", "ctranslate2") from error
    compute_type = COMPUTE_TYPES[exported.precision]
    if compute_type not in ctranslate2.get_supported_compute_types("cpu"):
        raise ConfigError(
            f"{exported.folder} was exported with `--precision {exported.precision}`, which CTranslate2 {ctranslate2.__version__} does"
            " not support on this processor. Export the run with another precision."
        )
    try:
        found = getattr(ctranslate2 if kind == "Translator" else ctranslate2.models, kind)
        return found(str(exported.folder), device="cpu", compute_type=compute_type, intra_threads=torch.get_num_threads())
    except (RuntimeError, ValueError) as error:
        written = exported.versions.get("ctranslate2", "?")
        raise CheckpointError(
            f"{exported.folder} cannot be opened by CTranslate2 {ctranslate2.__version__} (it was written by {written}): {error}."
            " Export the run again."
        ) from error


plugin = EnginePlugin(
    name="ctranslate2", summary="CTranslate2: fast on processors, in fp32 and int8, with a search of its own", open=open_model
)

"""Imports the GRU encoder-decoder of the package g2p-en, English words to phonemes, from numpy arrays in an .npz file.

    enc_emb (29, E)  enc_w_ih (3 H, E)  enc_w_hh (3 H, H)  enc_b_ih, enc_b_hh (3 H)     likewise dec_*     fc_w (74, H)  fc_b (74)

It is our `lstm` with `cell: gru`, one direction and no attention: the gates lie in torch's order (reset, update, new), and the reset gate
stands behind the recurrent product with its bias, as in torch. Our embeddings are multiplied by the square root of their width, so those of
the file are divided by it.
"""

import zipfile
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from antiphon.errors import CheckpointError
from antiphon.features.text import TextFeature
from antiphon.features.text_config import TextConfig
from antiphon.importers.interface import ImportedModel, ImportPlugin
from antiphon.importers.rows import rows_for

# The order of the rows of `enc_emb` and `dec_emb`; the file does not say.
GRAPHEMES = ("<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz")
_SOUNDS = (
    "AA0 AA1 AA2 AE0 AE1 AE2 AH0 AH1 AH2 AO0 AO1 AO2 AW0 AW1 AW2 AY0 AY1 AY2 B CH D DH EH0 EH1 EH2 ER0 ER1 ER2 EY0 EY1 EY2 F G HH IH0 IH1"
    " IH2 IY0 IY1 IY2 JH K L M N NG OW0 OW1 OW2 OY0 OY1 OY2 P R S SH T TH UH0 UH1 UH2 UW UW0 UW1 UW2 V W Y Z ZH"
)
PHONEMES = ("<pad>", "<unk>", "<s>", "</s>", *_SOUNDS.split())
_LONGEST = 20  # phonemes: the package says no more


def read(path: Path) -> ImportedModel:
    """Read the .npz file, or the one in the given folder."""
    file = _file(path)
    arrays = _arrays(file)
    width, dim = arrays["enc_emb"].shape[1], arrays["enc_w_hh"].shape[1]
    _check_shapes(file, arrays, width, dim)
    source = TextFeature(TextConfig(kind="character", lowercase=True))
    source.fit(["".join(GRAPHEMES[3:])])
    target = TextFeature(TextConfig(kind="word"))
    target.fit([" ".join(PHONEMES[4:])])
    return ImportedModel(
        recipe=_recipe(width, dim),
        vocabularies={"source_vocabulary": source, "target_vocabulary": target},
        weights=_weights(arrays, source.vocabulary.pieces, target.vocabulary.pieces),
        files=(file,),
        notes=("A word in small letters goes in. The package looks words up before it asks this model; the run does not.",),
    )


def _file(path: Path) -> Path:
    if path.is_file():
        return path
    found = sorted(path.glob("*.npz"))
    if len(found) != 1:
        raise CheckpointError(f"{path} must hold one .npz file, but holds {len(found)}. Name the file.")
    return found[0]


def _arrays(file: Path) -> dict[str, Float[np.ndarray, "..."]]:
    wanted = [f"{side}_{name}" for side in ("enc", "dec") for name in ("emb", "w_ih", "w_hh", "b_ih", "b_hh")] + ["fc_w", "fc_b"]
    try:
        with open(file, "rb") as opened, np.load(opened, allow_pickle=False) as archive:
            missing = [name for name in wanted if name not in archive.files]
            if missing:
                raise CheckpointError(f"{file} is no model of g2p-en: it lacks {', '.join(missing[:3])}.")
            arrays = {name: archive[name] for name in wanted}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{file} must be an .npz file of arrays, but cannot be read as one: {error}.") from error
    for name, array in arrays.items():
        if not np.issubdtype(array.dtype, np.floating):
            raise CheckpointError(f"{file} is no model of g2p-en: {name} must hold real numbers, but holds {array.dtype}.")
        if array.ndim != (1 if name.endswith(("b_ih", "b_hh", "fc_b")) else 2):
            raise CheckpointError(f"{file} is no model of g2p-en: {name} has the shape {array.shape}.")
    return arrays


def _check_shapes(file: Path, arrays: dict[str, Float[np.ndarray, "..."]], width: int, dim: int) -> None:
    shapes: dict[str, tuple[int, ...]] = {"fc_w": (len(PHONEMES), dim), "fc_b": (len(PHONEMES),)}
    for side, pieces in (("enc", GRAPHEMES), ("dec", PHONEMES)):
        shapes |= {f"{side}_emb": (len(pieces), width), f"{side}_w_ih": (3 * dim, width), f"{side}_w_hh": (3 * dim, dim)}
        shapes |= {f"{side}_b_ih": (3 * dim,), f"{side}_b_hh": (3 * dim,)}
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise CheckpointError(f"{file} is no model of g2p-en: {name} must have the shape {shape}, but has {arrays[name].shape}.")


def _weights(
    arrays: dict[str, Float[np.ndarray, "..."]], source_pieces: tuple[str, ...], target_pieces: tuple[str, ...]
) -> dict[str, Tensor]:
    tensors = {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}
    scale = tensors["enc_emb"].shape[1] ** -0.5
    weights = {
        "source_frontend.embedding.weight": rows_for(source_pieces, GRAPHEMES, tensors["enc_emb"] * scale),
        "target_frontend.embedding.weight": rows_for(target_pieces, PHONEMES, tensors["dec_emb"] * scale),
        "head.weight": rows_for(target_pieces, PHONEMES, tensors["fc_w"]),
        "head.bias": rows_for(target_pieces, PHONEMES, tensors["fc_b"]),
    }
    for side, stack in (("enc", "encoder"), ("dec", "decoder")):
        for kind, name in (("w_ih", "weight_ih_l0"), ("w_hh", "weight_hh_l0"), ("b_ih", "bias_ih_l0"), ("b_hh", "bias_hh_l0")):
            weights[f"{stack}.layers.0.{name}"] = tensors[f"{side}_{kind}"]
    return weights


def _recipe(width: int, dim: int) -> dict[str, object]:
    return {
        "task": {"name": "translation", "source": "word", "target": "phonemes"},
        "model": {
            "name": "lstm",
            "cell": "gru",
            "dim": dim,
            "embedding_dim": width,
            "bidirectional": False,
            "bridge": "copy",
            "attention": "none",
            "head": {"name": "categorical", "bias": True},
        },
        "training": {"max_epochs": 10, "optimizer": {"name": "adamw", "learning_rate": 2e-4}},
        "search": {"name": "greedy", "limits": {"max_ratio": 0, "max_offset": _LONGEST}},
        "evaluation": {"metrics": ["word_error_rate", "token_error_rate"]},
    }


plugin = ImportPlugin(name="g2p_en", summary="the GRU of g2p-en, English words to phonemes: an .npz file", read=read)

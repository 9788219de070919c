"""antiphon import: from foreign files to a run that predicts, evaluates and learns further, or one sentence that says why not."""

from pathlib import Path

import numpy as np

from tests.cli.conftest import Command
from tests.unit.importers.foreign_models import g2p_arrays

PAIRS = "word\tphonemes\ncat\tK AE1 T\ndog\tD AO1 G\nhat\tHH AE1 T\nlog\tL AO1 G\nmat\tM AE1 T\nbog\tB AO1 G\n"


def test_imported_and_trained_further(antiphon: Command, tmp_path: Path) -> None:
    np.savez(tmp_path / "model.npz", **g2p_arrays(4))
    (tmp_path / "words.tsv").write_text(PAIRS, encoding="utf-8")
    result = antiphon("import", "g2p_en", "model.npz", "--out", "runs/g2p")
    assert (result.status, result.out) == (0, "Wrote runs/g2p\n"), result.err
    assert "parameters, translation" in result.err
    quiet = antiphon("import", "g2p_en", "model.npz", "--out", "runs/quiet", "--quiet")
    assert (quiet.status, quiet.out, quiet.err) == (0, "", "")
    before = antiphon("predict", "runs/g2p", "--input", "words.tsv")
    assert before.status == 0, before.err
    assert len(before.out.splitlines()) == 6
    assert antiphon("report", "runs/g2p").status == 0
    (tmp_path / "runs" / "g2p").rename(tmp_path / "runs" / "moved")  # its recipe leads to itself, wherever it is
    settings = ("data.train=words.tsv", "data.validation=2", "training.max_steps=2", "training.samples=0")
    further = antiphon("train", "runs/moved/recipe.yaml", "--out", "runs/mine", *(part for one in settings for part in ("--set", one)))
    assert further.status == 0, further.err
    assert "runs/moved" in further.err, "where its weights are taken from"
    assert "fresh" not in further.err
    assert "left over" not in further.err
    resumed = antiphon(
        "train", "runs/moved/recipe.yaml", "--out", "runs/moved", "--resume", *(p for one in settings for p in ("--set", one))
    )
    assert resumed.status == 1


def test_what_cannot_be_imported_is_one_sentence(antiphon: Command, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "file").touch()
    (tmp_path / "model.bin").write_bytes(b"PK\x03\x04 no model")
    assert antiphon("import", "marian", "model.bin", "--out", "run").err.startswith("antiphon: run exists already. Choose another")
    assert antiphon("import", "marian", "none", "--out", "out").err == "antiphon: There is no file or folder none.\n"
    assert "must hold one vocabulary (*.spm)" in antiphon("import", "marian", "model.bin", "--out", "out").err
    unknown = antiphon("import", "onnx", "model.bin", "--out", "out")
    assert "There is no importers plug-in `onnx`; there are: ctranslate2_whisper, g2p_en, marian." in unknown.err
    assert antiphon("list", "importers").out.splitlines()[0].startswith("ctranslate2_whisper")

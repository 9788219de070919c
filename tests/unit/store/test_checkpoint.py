"""Checkpoints: complete, checked, atomic, and never harmful to what was there before."""

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest
import torch

from antiphon.errors import CheckpointError
from antiphon.store import atomic, checkpoint


def weights(fill=1.0):
    return {"layer.weight": torch.full((3, 2), fill), "layer.bias": torch.arange(3), "half": torch.ones(2, dtype=torch.bfloat16)}


def parts(folder):
    (folder / "features").mkdir()
    (folder / "features" / "vocabulary.json").write_text("[1, 2, 3]\n", encoding="utf-8")


def equal(found, expected):
    return found.keys() == expected.keys() and all(
        torch.equal(found[name], expected[name]) and found[name].dtype == expected[name].dtype for name in expected
    )


@pytest.fixture
def saved(tmp_path):
    """A checkpoint with weights and features."""
    folder = tmp_path / "step-1"
    checkpoint.write(folder, {"step": 1, "version": "0.0"}, weights(), parts)
    return folder


def read_all(folder):
    """Open a checkpoint and ask for all that it holds."""
    opened = checkpoint.read(folder)
    opened.check()
    return opened.weights(), opened.features, opened.training


def test_what_is_written_is_read(saved):
    opened = checkpoint.read(saved)
    assert opened.header == {"format": checkpoint.FORMAT, "step": 1, "version": "0.0"}
    assert equal(opened.weights(), weights())
    assert (opened.features / "vocabulary.json").read_text(encoding="utf-8") == "[1, 2, 3]\n"
    manifest = json.loads((saved / "manifest.json").read_text())
    assert sorted(manifest) == ["checkpoint.json", "features/vocabulary.json", "model.safetensors"]


@pytest.mark.parametrize("name", ["checkpoint.json", "features/vocabulary.json", "model.safetensors", "manifest.json"])
def test_a_flipped_bit_in_any_file_is_found(saved, name):
    path = saved / name
    original = path.read_bytes()
    for place in range(0, len(original), max(1, len(original) // 40)):
        flipped = bytearray(original)
        flipped[place] ^= 1 << (place % 8)
        path.write_bytes(bytes(flipped))
        if name == "manifest.json" and _same_json(flipped, original):
            continue  # space between values
        with pytest.raises(CheckpointError):
            read_all(saved)
    path.write_bytes(original)
    read_all(saved)


def _same_json(one, other):
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


def test_damage_is_named(saved):
    (saved / "features" / "vocabulary.json").write_text("[1, 2, 4]\n")
    with pytest.raises(
        CheckpointError, match=r"step-1 is damaged: features/vocabulary\.json has changed since it was written\. Use another"
    ):
        read_all(saved)


@pytest.fixture
def hashed(monkeypatch):
    """The files that are hashed, in order."""
    files, own = [], checkpoint.digest
    monkeypatch.setattr(checkpoint, "digest", lambda path: (files.append("/".join(path.parts[-2:])), own(path))[1])
    return files


def test_each_file_is_checked_once_and_when_it_is_asked_for(saved, hashed):
    def with_training(folder):
        parts(folder)
        (folder / "training").mkdir()
        (folder / "training" / "optimizer").write_bytes(b"large")

    checkpoint.write(saved, {"step": 1}, weights(), with_training)
    hashed.clear()
    opened = checkpoint.read(saved)
    assert hashed == ["step-1/checkpoint.json"]
    for _ in range(2):
        opened.weights()
        assert opened.features == saved / "features"
    assert hashed[1:] == ["step-1/model.safetensors", "features/vocabulary.json"]
    (saved / "training" / "optimizer").write_bytes(b"other")
    with pytest.raises(CheckpointError, match=r"step-1 is damaged: training/optimizer has changed"):
        _ = opened.training


def test_what_the_manifest_does_not_know_is_not_read(saved):
    known = json.loads((saved / "manifest.json").read_text())
    (saved / "manifest.json").write_text(json.dumps({"checkpoint.json": known["checkpoint.json"]}))
    with pytest.raises(CheckpointError, match=r"damaged: model\.safetensors"):
        checkpoint.read(saved).weights()


@pytest.mark.parametrize("name", ["checkpoint.json", "features/vocabulary.json", "model.safetensors", "manifest.json"])
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        checkpoint.read(saved)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_file_that_was_cut_short_is_found(saved, share):
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(CheckpointError, match=r"damaged: model\.safetensors"):
        checkpoint.read(saved).weights()
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        checkpoint.read_tensors(path)


def test_a_newer_format_is_refused_with_both_versions(tmp_path):
    folder = tmp_path / "new"
    checkpoint.write(folder, {"version": "7.1", "format": checkpoint.FORMAT + 1}, weights())
    with pytest.raises(
        CheckpointError, match=rf"has format {checkpoint.FORMAT + 1} \(written by antiphon 7\.1\).* up to {checkpoint.FORMAT}\. Install"
    ):
        checkpoint.read(folder)


def test_what_is_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        checkpoint.read(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match=r"is no checkpoint: it has no manifest\.json"):
        checkpoint.read(tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(CheckpointError, match=r"manifest\.json is no JSON object"):
        checkpoint.read(tmp_path)


def _fails(number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


# What may fail while a checkpoint is written: the disk, at the file, at the sync, at the very end.
FAILURES = [
    ("save_file", errno.ENOSPC, "No space left on device"),
    ("write_json", errno.EROFS, "Read-only file system"),
    ("sync", errno.EIO, "Input/output error"),
    ("digest", errno.EACCES, "Permission denied"),
]


@pytest.mark.parametrize(("function", "number", "reason"), FAILURES, ids=[function for function, _, _ in FAILURES])
def test_a_failed_write_leaves_everything_as_it_was(saved, function, number, reason, monkeypatch):
    before = sorted(path for path in saved.parent.rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(atomic if function == "sync" else checkpoint, function, _fails(number))
        for target in (saved, saved.with_name("step-2")):
            with pytest.raises(CheckpointError, match=f"{target.name} cannot be written: {reason}. Earlier checkpoints are intact"):
                checkpoint.write(target, {"step": 2}, weights(2.0), parts)
    assert sorted(path for path in saved.parent.rglob("*")) == before, "nothing half-written may stay"
    assert equal(checkpoint.read(saved).weights(), weights())


def test_a_failed_rename_leaves_the_old_one(saved, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "replace", _fails(errno.ENOSPC))
        with pytest.raises(CheckpointError):
            checkpoint.write(saved, {"step": 2}, weights(2.0))
    assert equal(checkpoint.read(saved).weights(), weights())


def test_a_rename_that_fails_halfway_puts_the_old_one_back(saved, monkeypatch):
    """Replacing takes two renames; when the second fails, the first must be undone."""
    calls, rename = [], os.replace

    def second_fails(source, target):
        calls.append(source)
        if len(calls) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "replace", second_fails)
        with pytest.raises(CheckpointError):
            checkpoint.write(saved, {"step": 2}, weights(2.0))
    assert equal(checkpoint.read(saved).weights(), weights())


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(CheckpointError, match="cannot be written"):
        checkpoint.write(tmp_path / "file" / "step-1", {}, weights())


@pytest.mark.parametrize("stop_in", ["write_json", "write_tensors", "parts", "sync"])
def test_a_kill_at_any_moment_leaves_the_old_one_and_waste_that_clean_removes(saved, stop_in):
    """A process that dies without cleaning up, by `os._exit` in the middle of writing."""
    program = f"""
import os, sys
from pathlib import Path
import torch
from antiphon.store import atomic, checkpoint
folder = Path(sys.argv[1])
die = lambda *a, **k: os._exit(9)
parts = die if {stop_in!r} == "parts" else None
if {stop_in!r} != "parts":
    setattr(atomic if {stop_in!r} == "sync" else checkpoint, {stop_in!r}, die)
checkpoint.write(folder, {{"step": 2}}, {{"w": torch.zeros(2)}}, parts)
"""
    finished = subprocess.run(
        [sys.executable, "-c", program, str(saved)], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False
    )
    assert finished.returncode == 9
    assert equal(checkpoint.read(saved).weights(), weights())
    assert len(list(saved.parent.iterdir())) == 2
    atomic.clean(saved.parent)
    assert list(saved.parent.iterdir()) == [saved]


def test_writing_again_replaces(saved):
    checkpoint.write(saved, {"step": 2}, weights(2.0))
    assert equal(checkpoint.read(saved).weights(), weights(2.0))
    assert not (saved / "features").exists()
    assert list(saved.parent.iterdir()) == [saved]


def test_tied_tensors_are_stored_once_and_read_under_all_names(tmp_path):
    shared = torch.randn(100, 50)
    path = tmp_path / "tied.safetensors"
    checkpoint.write_tensors(path, {"embedding": shared, "head": shared, "other": torch.randn(100, 50)})
    assert path.stat().st_size < 2.2 * shared.numel() * 4
    found = checkpoint.read_tensors(path)
    assert torch.equal(found["embedding"], found["head"])
    assert torch.equal(found["embedding"], shared)
    assert not torch.equal(found["other"], shared)


def test_views_and_transposed_tensors_keep_their_shapes(tmp_path):
    whole = torch.arange(12.0)
    tensors = {
        "whole": whole,
        "half": whole[:6],
        "matrix": whole.view(3, 4),
        "turned": whole.view(3, 4).T,
        "empty": torch.zeros(0),
        "none": torch.zeros(0, 3),
    }
    checkpoint.write_tensors(tmp_path / "views", tensors)
    assert equal(checkpoint.read_tensors(tmp_path / "views"), tensors)


def test_links_are_replaced_in_one_step(saved):
    second = saved.with_name("step-2")
    checkpoint.write(second, {}, weights(2.0))
    link = saved.parent.parent / "best" if saved.parent.name == "checkpoints" else saved.parent / "best"
    for target in (saved, second):
        checkpoint.point(link, target)
        assert link.resolve() == target.resolve()
        assert not os.path.isabs(os.readlink(link)), "a run that is moved must stay whole"
    moved = saved.parent.with_name("moved")
    shutil.copytree(saved.parent, moved, symlinks=True)
    assert equal(checkpoint.read((moved / "best").resolve()).weights(), weights(2.0))
    checkpoint.remove(saved)
    assert not saved.exists()
    checkpoint.remove(saved)

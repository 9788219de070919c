"""Atomic writes of files and folders: written beside their place, synced to disk, then renamed.

A kill at any moment leaves what was there or what is new, never half of one; what it leaves beside the place, `clean` removes. Names of
unfinished things begin with a dot and hold `.partial-`, so nothing takes them for finished ones.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal


def partial_name(path: Path) -> Path:
    """A new temporary name beside `path`; no two processes, nor threads, get the same."""
    return path.with_name(f".{path.name}.partial-{os.getpid()}-{uuid.uuid4().hex[:8]}")


@contextmanager
def replacing(path: Path, mode: Literal["w", "wb"] = "w") -> Iterator[IO[Any]]:
    """A file to write, as UTF-8 text or as bytes; it replaces `path` when the block ends without an error.

    Raises OSError when it cannot be written; what was there before is intact.
    """
    partial = partial_name(path)
    try:
        with open(partial, mode, encoding=None if mode == "wb" else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill; it replaces `folder`, with all its contents, when the block ends without an error.

    Raises OSError when it cannot be written; what was there before is intact.
    """
    with beside(folder) as partial:
        yield partial
        sync_all(partial)
        old = partial.with_name(partial.name.replace(".partial-", ".partial-old-"))
        try:
            if folder.exists():
                os.replace(folder, old)
            os.replace(partial, folder)
            sync(folder.parent)
        except BaseException:
            if old.exists() and not folder.exists():
                os.replace(old, folder)
            raise
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill; it appears as `folder`, which must be missing or empty, when the block ends without an error.

    Raises OSError when it cannot be written, or when something else is there by then, which is left alone.
    """
    with beside(folder) as partial:
        yield partial
        sync_all(partial)
        if folder.exists():
            folder.rmdir()
        os.replace(partial, folder)
        sync(folder.parent)


@contextmanager
def beside(folder: Path) -> Iterator[Path]:
    """A new folder beside the place of `folder`, whose parents are created; it is removed in the end, unless it was moved into place."""
    partial = partial_name(folder)
    partial.mkdir(parents=True)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_all(folder: Path) -> None:
    """Flush a folder with all its contents to disk."""
    for path in (*folder.rglob("*"), folder):
        if not path.is_symlink():
            sync(path)


def clean(folder: Path) -> None:
    """Remove what interrupted writes left in a folder; originals that were moved away but not yet replaced are put back."""
    for path in folder.glob(".*.partial-old-*"):
        place = path.with_name(path.name[1:].rsplit(".partial-old-", 1)[0])
        if not place.exists():
            os.replace(path, place)
    for path in folder.glob(".*.partial*"):
        path.unlink() if path.is_symlink() or path.is_file() else shutil.rmtree(path, ignore_errors=True)

"""Errors travel between processes as they are."""

from multiprocessing import Pipe

from antiphon.errors import DataError, MissingPackageError


def test_they_come_out_of_a_pipe() -> None:
    here, there = Pipe()
    with here, there:
        for error in (MissingPackageError("A sweep", "optuna", "tune"), DataError("a.tsv:3: no.")):
            here.send(error)
            told = there.recv()
            assert (type(told), str(told), getattr(told, "extra", None)) == (type(error), str(error), getattr(error, "extra", None))

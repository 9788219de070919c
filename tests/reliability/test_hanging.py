"""A process that keeps the others waiting is named, with the place where it is, and all end."""

import time
from pathlib import Path

import pytest

from antiphon.models.transformer import Transformer
from antiphon.training.hanging import what_hangs
from tests.reliability.training_processes import TRANSFORMER, run, train_command, write_data, write_recipe


def stuck() -> None:
    """In the first process, the third batch never comes to its end."""
    encode, seen = Transformer.encode, []

    def encoding(self: Transformer, source: object) -> object:
        seen.append(source)
        if len(seen) == 3:
            time.sleep(3600)
        return encode(self, source)  # type: ignore[arg-type]

    Transformer.encode = encoding  # type: ignore[method-assign, assignment]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_one_that_hangs_is_named_and_all_end(tmp_path: Path) -> None:
    write_data(tmp_path)
    recipe = write_recipe(tmp_path, model=TRANSFORMER, max_steps=40)
    command = train_command(recipe, tmp_path / "run", "--set", "training.distributed.timeout_minutes=0.2")
    statuses, said = run(command, 2, prepare=stuck)
    assert statuses == [1, 1], said
    assert said.count("antiphon: The other processes have waited for 1 of 2 for 0.2 minutes (`training.distributed.timeout_minutes`)") == 1
    assert "process 0 (pid" in said
    assert "in encoding\n    time.sleep(3600)" in said, "the place is told"


def test_what_is_said() -> None:
    names = {0: "process 0 (pid 7 on a)", 1: "process 1 (pid 8 on b)", 2: "process 2 (pid 9 on c)"}
    waiting = {"kind": "exchange", "stack": "at all_reduce"}
    said = what_hangs(names, {0: waiting, 1: {"kind": "update", "stack": "at a loop"}}, 1800.0)
    assert said == (
        "The other processes have waited for 2 of 3 for 30 minutes (`training.distributed.timeout_minutes`)."
        " process 1 (pid 8 on b) is here:\nat a loop\nprocess 2 (pid 9 on c) does not answer: it is stopped, or its machine is."
    )
    for kind in ("exchange", "update"):  # sharded weights are exchanged within updates
        said = what_hangs(names, {rank: {"kind": kind, "stack": f"at {kind}"} for rank in names}, 60.0)
        assert said.startswith("No process has come further for 1 minute (`training.distributed.timeout_minutes`), as when the network")
        assert said.endswith("process 2 (pid 9 on c) is here:\nat " + kind)

"""What is installed is what constraints.txt says, and a CPU machine carries no CUDA."""

import re
from importlib.metadata import distributions

import pytest
import torch

from tests.package.source_files import ROOT

INSTALLED = {re.sub(r"[-_.]+", "-", item.metadata["Name"]).lower(): item.version for item in distributions()}


def constraints() -> dict[str, str]:
    """Name -> version."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pairs}


def test_no_cuda_beside_a_cpu_build() -> None:
    if torch.version.cuda is not None:
        pytest.skip("this is a CUDA build of torch")
    assert sorted(name for name in INSTALLED if re.match(r"nvidia|triton|cuda|cupy", name)) == []


def test_constraints_are_names_and_versions_alone() -> None:
    """No address, no path, and no local version, which only one registry has."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line)] == []


def test_what_is_constrained_is_installed_in_that_version() -> None:
    """Local versions (2.13.0+cpu) tell builds apart, not releases."""
    versions = {name: INSTALLED[name].split("+")[0] for name in constraints() if name in INSTALLED}
    assert versions == {name: constraints()[name] for name in versions}
    assert "torch" in versions

"""Devices: those that are there, and what is said of those that are not."""

import socket
from datetime import timedelta

import pytest
import torch

from antiphon.errors import ConfigError, TrainingError
from antiphon.training import distributed
from antiphon.training.device import find_device


@pytest.fixture
def without_gpu(monkeypatch):
    """A machine without any GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def with_two(monkeypatch):
    """A machine with two GPUs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_auto_takes_what_is_there(without_gpu):
    assert find_device("auto", "device") == torch.device("cpu")
    assert find_device("cpu", "device") == torch.device("cpu")


def test_auto_takes_a_gpu(with_two):
    assert find_device("auto", "device") == torch.device("cuda")
    assert find_device("cuda:1", "device") == torch.device("cuda:1")
    with pytest.raises(ConfigError, match="`device` must not be `cuda:2` on this machine: there are 2 GPUs, numbered from 0"):
        find_device("cuda:2", "device")


@pytest.mark.parametrize(("name", "what"), [("cuda", "no GPU with CUDA"), ("cuda:0", "no GPU with CUDA"), ("mps", "no GPU of Apple's")])
def test_what_is_not_there_is_said(without_gpu, name, what):
    with pytest.raises(ConfigError, match=f"`training.device` must not be `{name}` on this machine: PyTorch finds {what}. Use `auto`"):
        find_device(name, "training.device")


@pytest.mark.parametrize("name", ["gpu", "meta", "", "xpu"])
def test_what_is_no_device_is_said(name):
    with pytest.raises(ConfigError, match=f"`device` must be `auto`, `cpu`, `cuda` or `mps`, but is '{name}'"):
        find_device(name, "device")


def test_a_run_on_a_missing_device_does_not_start(without_gpu):
    with pytest.raises(ConfigError, match=r"`training\.device` must not be `cuda`"):
        distributed.start("cuda")


def test_a_port_in_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for name, value in (("WORLD_SIZE", "2"), ("RANK", "0"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", port)):
            monkeypatch.setenv(name, value)
        with pytest.raises(TrainingError, match=rf"Port {port} \(MASTER_PORT\) is in use on this machine\. Set MASTER_PORT to another"):
            distributed.start("cpu")


def test_processes_that_do_not_come_are_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    monkeypatch.setattr(distributed, "_MEETING", timedelta(seconds=1))
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "1"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", port)):
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match=rf"Process 1 has not met the others at 127\.0\.0\.1:{port} \(MASTER_ADDR, MASTER_PORT\)"):
        distributed.start("cpu")

"""Signals: said at once what they will do, obeyed where nothing is lost."""

import os
import signal

import pytest

from antiphon.training.stopping import Stopped, StopRequest


def interrupt(number=signal.SIGINT):
    os.kill(os.getpid(), number)
    for _ in range(1000):  # until Python hears of it
        pass


@pytest.fixture
def said():
    return []


@pytest.fixture
def stop(said):
    request = StopRequest(said.append)
    with request.heard():
        yield request


def test_the_first_signal_is_a_request_and_the_second_stops_at_once(stop, said):
    interrupt()
    assert stop.signal == signal.SIGINT
    assert said == ["stopping after this update; a checkpoint is written; press Ctrl-C again to stop now"]
    with pytest.raises(Stopped, match="SIGINT"):
        interrupt()
    assert len(said) == 1


def test_what_can_be_repeated_is_stopped_right_there(stop, said):
    with pytest.raises(Stopped, match="SIGTERM"), stop.repeatable("validation", alone=True):
        interrupt(signal.SIGTERM)
    assert said == ["stopping now; a resumed run repeats this validation"]
    interrupt()
    interrupt()
    assert stop.signal == signal.SIGTERM, "while the checkpoint is written, more signals change nothing"


def test_a_request_that_is_there_already_is_obeyed_before_a_validation(stop):
    interrupt()
    done = []
    with pytest.raises(Stopped), stop.repeatable("validation", alone=True):
        done.append(1)
    assert not done


def test_one_of_several_processes_does_not_leave_the_others_waiting(stop, said):
    with stop.repeatable("validation", alone=False):
        interrupt()
    assert said == ["stopping after this validation; a checkpoint is written; press Ctrl-C again to stop now"]
    assert stop.signal == signal.SIGINT


def test_no_more_signals_once_the_stop_is_obeyed(stop):
    interrupt()
    stop.obeyed()
    interrupt()


def test_a_line_that_cannot_be_written_stops_nothing(said):
    def busy(line):
        raise RuntimeError("reentrant call")

    request = StopRequest(busy)
    with request.heard():
        interrupt()
    assert request.signal == signal.SIGINT


def test_handlers_are_put_back(said):
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest(said.append).heard():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before

"""Prepares items in a background thread, ahead of their consumer."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

_POLL_SECONDS = 0.1


def ahead(items: Iterator[Item], size: int, abandon: Callable[[], None] = lambda: None) -> Iterator[Item]:
    """Prepare up to `size` items ahead in a thread; yields its items in order, and raises its error.

    Closing the iterator ends the thread. `abandon` is called when that happens before the last item, or an error does: it must wake up
    whatever `items` may be waiting for.
    """
    ready: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(maxsize=size)
    stop = threading.Event()

    def put(item: Item | None, error: BaseException | None) -> None:
        while not stop.is_set():
            try:
                ready.put((item, error), timeout=_POLL_SECONDS)
                return
            except queue.Full:
                continue

    def run() -> None:
        try:
            for item in items:
                put(item, None)
                if stop.is_set():
                    return
            put(None, StopIteration())
        except BaseException as error:  # whatever it is, the consumer must see it
            put(None, error)

    thread = threading.Thread(target=run, name="antiphon-loader", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    except BaseException:
        stop.set()
        abandon()
        raise
    finally:
        stop.set()
        thread.join()


__all__ = ["ahead"]

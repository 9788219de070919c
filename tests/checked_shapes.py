"""How the tests check the types and shapes in the signatures of Antiphon: once per call, where jaxtyping's own decorator does it twice.

pytest's option `--jaxtyping-packages` decorates every function and dataclass of the package with `jaxtyping.jaxtyped`. That one compiles
two functions for each that it decorates, binds the arguments of every call to its signature, and checks the arguments again together with
the result. All of it took half of the whole suite. beartype checks arguments and result by itself; all that the letters of shapes need
is a scope of their own for each call.

What is lost: a longer message, and shapes computed from arguments (`"{n}+1"`), which Antiphon does not use. And of a function that is
called again and again, as in a training, the first calls in a process are all checked, and of the later ones every tenth.
"""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from types import FunctionType
from typing import Any, get_type_hints

import jaxtyping

SCOPE = jaxtyping.jaxtyped("context")  # within it, a letter is one number
FIRST, EVERY = 500, 10
_jaxtyped = jaxtyping.jaxtyped


def checked(thing: Any = None, *, typechecker: Callable[[Any], Any]) -> Any:
    """Decorate a function, or the `__init__` of a dataclass; anything else is left to jaxtyping."""
    if thing is None:
        return functools.partial(checked, typechecker=typechecker)
    if inspect.isclass(thing):
        if is_dataclass(thing) and isinstance(vars(thing).get("__init__"), FunctionType):
            thing.__init__ = checked(thing.__init__, typechecker=typechecker)
        return thing
    if not isinstance(thing, FunctionType):
        return _jaxtyped(thing, typechecker=typechecker)
    thing.__annotations__ = {name: _known(hint, thing.__globals__) for name, hint in thing.__annotations__.items()}
    function = typechecker(thing)
    if function is thing:  # it has no annotations
        return thing

    calls = 0

    @functools.wraps(thing)
    def in_a_scope(*args: Any, **named: Any) -> Any:
        __tracebackhide__ = True
        nonlocal calls
        calls += 1
        if jaxtyping.config.jaxtyping_disable or (calls > FIRST and calls % EVERY and not _all_calls):
            return thing(*args, **named)
        with SCOPE:
            return function(*args, **named)

    return in_a_scope


_all_calls: list[bool] = []


@contextlib.contextmanager
def every_call() -> Iterator[None]:
    """Within it, no call is left out, however many there were."""
    _all_calls.append(True)
    try:
        yield
    finally:
        _all_calls.pop()


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
    """For what is traced: there sizes are symbols, which are no numbers, and comparing them would fix them."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


def _known(hint: Any, names: dict[str, Any]) -> Any:
    """A hint without quotes; `Any` where it names what is not there yet, or is imported for static checkers alone."""
    if isinstance(hint, type) or "'" not in repr(hint):
        return hint

    def with_hint() -> None: ...

    with_hint.__annotations__ = {"hint": hint}
    try:
        return get_type_hints(with_hint, names, include_extras=True)["hint"]
    except (NameError, AttributeError, TypeError):
        return Any

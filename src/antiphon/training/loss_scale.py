"""The scale of a loss whose gradients pass through half precision (Micikevicius et al. 2018, "Mixed precision training").

Small gradients are 0 in fp16, so the loss is multiplied by a power of two, and the gradients are divided by it in single precision. When
one overflows, the update is left out and the scale halved; after many updates without that it is doubled. It is part of the progress, so
that a resumed run goes on with it.
"""

from dataclasses import dataclass, replace

_LARGEST, _LEAST = 2.0**24, 1.0
_GROWTH_UPDATES = 2000


@dataclass(frozen=True)
class LossScale:
    """The scale, and the number of updates without overflow since it changed."""

    value: float = 65536.0
    updates: int = 0

    def after(self, *, overflowed: bool) -> "LossScale":
        """The scale for the next update."""
        if overflowed:
            return LossScale(max(self.value / 2, _LEAST))
        if self.updates + 1 == _GROWTH_UPDATES:
            return LossScale(min(self.value * 2, _LARGEST))
        return replace(self, updates=self.updates + 1)

    @property
    def least(self) -> bool:
        """Whether it is at its minimum: a non-finite gradient is then not caused by the scale."""
        return self.value <= _LEAST


UNSCALED = LossScale(1.0)
"""Of every other precision."""

"""Rules for settings that suit data of a given size and a training time: a table of numbers, each with its reason.

Each rule is a function of `Facts`. The bounds were chosen by trainings of 2 to 10 minutes on one core (docs/results.md).
"""

from dataclasses import dataclass

from antiphon.contracts.drafting import Proposal

# The least and the most, or what is wanted.
PASSES = 2.0  # over the data: a wider model that sees them less often learns less
UPDATES = 2500  # that a training should have: many small updates teach more in minutes than few large ones
FEWEST_UPDATES = 1500  # of the smallest batches: a wider model that has fewer has not learned enough when the minutes are over
TOKENS = (250, 4096)  # target symbols of a batch
SOURCES = 500  # source symbols of a batch are enough: where targets are short and sources long, it has fewer target symbols,
FEWEST_TOKENS = 60  # but never fewer than these
FRAMES = (600, 12_000)  # of sound, of a batch
RECORDINGS = 2  # of a batch, at least
HELD_OUT = (0.05, 500)  # for validation and again for a test: this share of the records, at most so many
FEWEST_TO_HOLD_OUT = 200  # records; of fewer none are spared for a test

WORTH_ROUNDING = 1.15  # times as fast must bf16 be: a few updates are not measured more exactly than that

DROPOUTS = ((3.0, 0.1), (10.0, 0.2), (30.0, 0.3), (float("inf"), 0.4))
"""Up to so many passes over the data, so much dropout: what is seen often is learned by heart."""


@dataclass(frozen=True)
class Facts:
    """The facts that rules use.

    records    how many there are
    minutes    of training
    elements   elements of the side that fills batches (target symbols, or frames) in a pass over the data
    speed      such elements learned from in a second; None where nothing was measured
    frames     whether elements are frames of sound
    sources    elements of the other side, where it is the source
    """

    records: int
    minutes: float
    elements: float
    speed: float | None
    frames: bool = False
    sources: float = 0.0

    @property
    def learned(self) -> float:
        """The total number of elements seen in training."""
        return (self.speed or 0.0) * self.minutes * 60

    @property
    def passes(self) -> float:
        """The number of passes over the data."""
        return self.learned / max(self.elements, 1.0)

    @property
    def bounds(self) -> tuple[int, int]:
        """The minimum and maximum number of elements in a batch."""
        if self.frames:
            low, high = FRAMES
            return _round(min(float(high), max(float(low), RECORDINGS * self.elements / max(self.records, 1)))), high
        low, high = TOKENS
        return _round(min(float(low), max(float(FEWEST_TOKENS), SOURCES * self.elements / max(self.sources, 1.0)))), high


def batch(facts: Facts) -> Proposal:
    """The number of elements in a batch: as many as leave enough updates, within bounds."""
    low, high = facts.bounds
    unit = "frames" if facts.frames else "target symbols"
    if facts.speed is None:
        return Proposal(low, f"{unit}: few, for many updates")
    size = _round(min(float(high), max(float(low), facts.learned / UPDATES)))
    updates = facts.learned / size
    return Proposal(size, f"{unit}: about {_about(updates)} updates in {minutes(facts)}")


def dropout(facts: Facts) -> Proposal:
    """The dropout rate."""
    share = next(share for passes, share in DROPOUTS if facts.passes <= passes)
    return Proposal(share, f"the data are seen {facts.passes:.2g} times")


def held_out(records: int) -> int:
    """The number of records for validation, and again for testing."""
    share, most = HELD_OUT
    return max(1, min(most, int(records * share)))


def wide_enough(facts: Facts) -> bool:
    """Whether a model of this speed sees the data often enough, in enough updates."""
    return facts.passes >= PASSES and facts.learned >= FEWEST_UPDATES * facts.bounds[0]


def worth_rounding(exact: float, rounded: float) -> float | None:
    """How many times as fast updates in bf16 are, given the seconds of some in fp32 and in bf16; None where that is too little."""
    gain = exact / max(rounded, 1e-9)
    return gain if gain >= WORTH_ROUNDING else None


def passes_said(facts: Facts) -> str:
    """The reason for a model of this size."""
    if facts.speed is None:
        return "a small one for few records"
    unit = "frames" if facts.frames else "symbols"
    return f"sees the data about {facts.passes:.2g} times in {minutes(facts)} here ({_about(facts.speed)} {unit}/s)"


def minutes(facts: Facts) -> str:
    """The training time, formatted for display."""
    return "1 minute" if facts.minutes == 1 else f"{facts.minutes:g} minutes"


def _round(value: float) -> int:
    """Rounded to tens, fifties or hundreds."""
    step = 10 if value < 250 else 50 if value < 1000 else 100
    return max(step, int(value // step) * step)


def _about(value: float) -> str:
    """Rounded to two digits."""
    digits = max(0, len(str(int(value))) - 2)
    return f"{int(round(value / 10**digits) * 10**digits):,}"

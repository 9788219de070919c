"""The baselines' forecasts for the windows that a model is scored on.

Baselines read the whole history before an origin, one channel at a time, with missing values filled as the model's windows have them.
What a baseline learns from several histories, it learns from none that reaches behind the first origin of its series.
"""

from collections.abc import Hashable, Sequence

import numpy as np

from antiphon.baselines.interface import Baseline
from antiphon.contracts import registry
from antiphon.data.series import Missing, Series, fill
from antiphon.metrics.forecasts import Forecast


def baseline_forecasts(
    items: Sequence[tuple[Series, int]], names: Sequence[str], missing: Missing, horizon: int, season: int
) -> dict[str, list[Forecast]]:
    """The forecasts of each named baseline for (series, origin), in the order of the items."""
    histories = [fill(series.targets[:origin], "previous" if missing == "error" else missing) for series, origin in items]
    first: dict[Hashable, np.ndarray] = {}
    for (series, _), history in zip(items, histories, strict=True):
        if series.unique_id not in first or len(history) < len(first[series.unique_id]):
            first[series.unique_id] = history
    found = {}
    for name in names:
        baseline: Baseline = registry.find("baselines", name)
        channels = range(histories[0].shape[1]) if histories else ()
        learned = [baseline.learn([history[:, channel] for history in first.values()], horizon, season) for channel in channels]
        found[name] = [
            Forecast(
                series.unique_id,
                (),
                np.stack([one.forecast(history[:, channel], horizon, season) for channel, one in enumerate(learned)], axis=1),
            )
            for (series, _), history in zip(items, histories, strict=True)
        ]
    return found

"""Conditions under which Dagster materialises an asset automatically."""

import dagster as dg

_EAGER = dg.AutomationCondition.eager()

EAGER_WITH_MISSING = _EAGER.without(~dg.AutomationCondition.any_deps_missing())
"""Materialise when any upstream changes, even if some upstream weeks are missing."""

EAGER_ALL_WEEKS = _EAGER.without(dg.AutomationCondition.in_latest_time_window()).ignore(
    dg.AssetSelection.assets("matches")
)
"""Materialise every week, not only the latest, when the ratings or the model change and no upstream is missing.

`matches` is ignored, because new results take effect through the ratings. A run then sees both or neither.
"""

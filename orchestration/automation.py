"""When an asset is brought up to date by itself."""

import dagster as dg

_EAGER = dg.AutomationCondition.eager()

FOLLOW = _EAGER.without(~dg.AutomationCondition.any_deps_missing())
"""As soon as anything it is made from is new. Weeks that nobody has published yet do not hold it back."""

FOLLOW_EVERY_WEEK = FOLLOW.without(dg.AutomationCondition.in_latest_time_window()).ignore(
    dg.AssetSelection.assets("matches")
)
"""The same for each week, not only for the newest: it is the running weeks that change, and weeks ahead exist.

New results count once the ratings have taken them in, so that every run sees both or neither."""

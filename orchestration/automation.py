"""When an asset is brought up to date by itself."""

import dagster as dg

_EAGER = dg.AutomationCondition.eager()

FOLLOW = _EAGER.without(~dg.AutomationCondition.any_deps_missing())
"""As soon as anything it is made from is new. Weeks that nobody has published yet do not hold it back."""

FOLLOW_EVERY_WEEK = _EAGER.without(dg.AutomationCondition.in_latest_time_window()).ignore(
    dg.AssetSelection.assets("matches")
)
"""As soon as the ratings or the model are new and all is there; each week, not only the newest, which lies ahead.

New results count once the ratings have taken them in, so that every run sees both or neither."""

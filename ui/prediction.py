"""A forecast made on request: queued through the asynchronous endpoint, followed until it is there."""

from __future__ import annotations

from uuid import uuid4

import streamlit as st

from ui.api_client import ApiError
from ui.api_models import Forecast
from ui.resources import api, settings

LABELS = {"pending": "In the queue …", "started": "A worker is computing …"}


def predict_now(home_team: str, away_team: str, competition: str | None) -> Forecast | None:
    """Show where the task stands until its forecast is there; None when it failed, with the reason on the page."""
    with st.status("Sending …") as box:
        try:
            task = api().predict_later(home_team, away_team, competition, key=str(uuid4()))
            for status in api().follow(task.task_id, settings().predict_timeout):
                box.update(label=LABELS.get(status.status, status.status))
        except ApiError as error:
            box.update(label="No forecast", state="error", expanded=True)
            st.write(str(error))
            return None
        if status.result is None:
            box.update(label="The task failed", state="error", expanded=True)
            st.write(status.error.detail if status.error else "The worker gave no reason.")
            return None
        box.update(label="Forecast made", state="complete")
        st.caption(f"Task {task.task_id} on queue `ml`")
    return status.result

"""Forecasts on request: queue a task through the asynchronous endpoint and poll it until the result arrives."""

from __future__ import annotations

from uuid import uuid4

import streamlit as st

from ui.api_client import ApiError
from ui.api_models import Forecast
from ui.markdown_text import as_text
from ui.resources import api, settings

STATUS_LABELS = {"pending": "Waiting in the queue …", "started": "A worker is computing …"}


def predict_now(home_team: str, away_team: str, competition: str | None) -> Forecast | None:
    """Request a forecast and show the progress of its task; on failure show the reason and return None."""
    with st.status("Sending the request …") as status_box:
        try:
            task = api().predict_async(home_team, away_team, competition, idempotency_key=str(uuid4()))
            for status in api().poll_task(task.task_id, settings().predict_timeout_seconds):
                status_box.update(label=STATUS_LABELS.get(status.status, as_text(status.status)))
        except ApiError as error:
            status_box.update(label="No forecast", state="error", expanded=True)
            st.write(as_text(error))
            return None
        if status.result is None:
            status_box.update(label="The task failed", state="error", expanded=True)
            st.write(as_text(status.error.detail) if status.error else "The worker gave no reason.")
            return None
        status_box.update(label="Forecast ready", state="complete")
        st.caption(f"Task {as_text(task.task_id)} on the queue `ml`")
    return status.result

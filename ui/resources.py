"""The settings and the API client, created once per process and shared by all pages."""

from __future__ import annotations

import streamlit as st

from ui.api_client import ApiClient
from ui.settings import UiSettings


@st.cache_resource
def settings() -> UiSettings:
    return UiSettings()


@st.cache_resource
def api() -> ApiClient:
    """Return the client that all readers share, so that they share one connection pool."""
    ui_settings = settings()
    key = ui_settings.api_key.get_secret_value() if ui_settings.api_key else None
    return ApiClient(ui_settings.api_url, ui_settings.api_timeout_seconds, key)

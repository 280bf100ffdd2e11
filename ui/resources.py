"""What all pages share: the settings and one API client, both cached for the life of the process."""

from __future__ import annotations

import streamlit as st

from ui.api_client import ApiClient
from ui.settings import UiSettings


@st.cache_resource
def settings() -> UiSettings:
    return UiSettings()


@st.cache_resource
def api() -> ApiClient:
    """One client, and therefore one connection pool, for all readers."""
    ui_settings = settings()
    key = ui_settings.api_key.get_secret_value() if ui_settings.api_key else None
    return ApiClient(ui_settings.api_url, ui_settings.api_timeout, key)

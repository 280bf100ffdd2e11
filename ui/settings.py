"""Settings of the match viewer, read from `TOUCHLINE_<FIELD>`."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class UiSettings(BaseSettings):
    """Address of the API and links to the other tools. An empty link is not shown."""

    model_config = SettingsConfigDict(env_prefix="TOUCHLINE_", frozen=True, extra="ignore")

    api_url: str = Field("http://127.0.0.1:8000", description="Address of the REST API as seen from this process.")
    api_key: SecretStr | None = Field(None, description="Key to send if the API requires one.")
    api_timeout_seconds: float = Field(10.0, gt=0, description="Timeout of an API request in seconds.")
    predict_timeout_seconds: float = Field(30.0, gt=0, description="Seconds to wait for a forecast on request.")
    dagster_url: str = Field("http://127.0.0.1:3000", description="Link to Dagster as seen from the browser.")
    mlflow_url: str = Field("http://127.0.0.1:5000", description="Link to MLflow as seen from the browser.")
    grafana_url: str = Field("", description="Link to Grafana as seen from the browser.")

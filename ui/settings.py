"""Settings of the UI, read from `TOUCHLINE_<FIELD>`."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class UiSettings(BaseSettings):
    """Where the API is, and what to link to. An empty link is not shown."""

    model_config = SettingsConfigDict(env_prefix="TOUCHLINE_", frozen=True, extra="ignore")

    api_url: str = Field("http://127.0.0.1:8000", description="Address of the REST API, as this process reaches it.")
    api_key: SecretStr | None = Field(None, description="Sent to the API when it asks for keys.")
    api_timeout: float = Field(10.0, gt=0, description="Seconds to wait for an answer of the API.")
    predict_timeout: float = Field(30.0, gt=0, description="Seconds to wait for a forecast made on request.")
    dagster_url: str = Field("http://127.0.0.1:3000", description="Link to Dagster, as the browser reaches it.")
    mlflow_url: str = Field("http://127.0.0.1:5000", description="Link to MLflow, as the browser reaches it.")
    grafana_url: str = Field("", description="Link to Grafana, as the browser reaches it.")

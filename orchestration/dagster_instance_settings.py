"""Where Dagster keeps its runs. Separate from `settings`, so that the command line starts without importing Dagster."""

from pydantic import Field

from features.io.settings import Settings


class InstanceSettings(Settings):
    """Settings of the Dagster instance."""

    dagster_storage_url: str | None = Field(
        None, description="PostgreSQL for Dagster's runs, as postgresql://…; default: files under TOUCHLINE_HOME."
    )

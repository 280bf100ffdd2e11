"""Databases of MLflow and Dagster on this machine's PostgreSQL: empty, of an earlier release, and their columns."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import psycopg2
from alembic.command import downgrade, upgrade
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

SERVER: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": "5432",
    "user": "postgres",
    "dbname": "postgres",
    "connect_timeout": 3,
}
REVISIONS_BACK = 3
"""How many migrations an older database lacks."""


def columns(database: str) -> list[tuple[str, ...]]:
    """Every column of every table, and the revision that the migrations came to."""
    with contextlib.closing(psycopg2.connect(**{**SERVER, "dbname": database})) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' "
            "UNION SELECT 'revision', version_num, '' FROM alembic_version ORDER BY 1, 2"
        )
        return list(cursor.fetchall())


def make_older(use: str, uri: str) -> None:
    """Bring a database to the state of an earlier release of its owner."""
    engine = create_engine(uri)
    config = Config()
    if use == "mlflow":  # its migrations go forward only, from the tables of its first release
        import mlflow.store.db_migrations as migrations
        from mlflow.store.tracking.dbmodels.initial_models import Base

        Base.metadata.create_all(engine)
        config.set_main_option("script_location", str(Path(str(migrations.__file__)).parent))
        config.set_main_option("sqlalchemy.url", uri)
    else:
        import dagster._core.storage.alembic as scripts

        config.set_main_option("script_location", str(Path(scripts.__path__[0])))
    revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        if use == "mlflow":
            upgrade(config, revisions[REVISIONS_BACK])
        else:
            downgrade(config, revisions[REVISIONS_BACK])
    engine.dispose()

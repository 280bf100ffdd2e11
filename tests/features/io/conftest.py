"""The lake on a folder, and on a local stand-in for S3 that is reached through settings alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from features.io.settings import Settings
from features.io.store import Lake


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Address of an S3 API server on loopback."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_lake(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lake:
    """A lake in a bucket of its own."""
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    bucket = tmp_path.name.replace("_", "-").lower()[:60].strip("-")
    boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1").create_bucket(Bucket=bucket)
    return Lake(Settings(lake=f"s3://{bucket}/lake", s3_endpoint=s3_endpoint).lake_root)


@pytest.fixture
def folder_lake(tmp_path: Path) -> Lake:
    """A lake in a folder of its own."""
    return Lake(str(tmp_path / "lake"))

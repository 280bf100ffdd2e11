"""Replaces S3 objects only if no other writer has changed them meanwhile, which Arrow's S3 client cannot do."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from features.errors import StorageUnavailableError

_CHANGED = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_ABSENT = {"NoSuchKey", "404"}
_UNSUPPORTED = {"NotImplemented", "501"}


class _UnsupportedError(Exception):
    """The storage has no conditional writes."""


class S3Objects:
    """The objects below an s3:// address, which may have credentials, `endpoint_override` and `scheme` as Arrow's."""

    def __init__(self, root: str, region: str) -> None:
        import boto3
        from botocore.config import Config

        parts = urlsplit(root)
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        self._bucket, self._prefix = parts.hostname or "", parts.path.strip("/")
        endpoint = options.get("endpoint_override")
        self._client = boto3.client(
            "s3",
            region_name=region or None,
            endpoint_url=f"{options.get('scheme', 'https')}://{endpoint}" if endpoint else None,
            aws_access_key_id=unquote(parts.username) if parts.username else None,
            aws_secret_access_key=unquote(parts.password) if parts.password else None,
            config=Config(
                # Storage that is not Amazon's rarely has a host name for each bucket, and may not know new checksums.
                s3={"addressing_style": "path"} if endpoint else {},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def read(self, path: str) -> tuple[bytes | None, str]:
        """Return content and ETag of an object; None and an empty ETag if it does not exist."""
        try:
            answer = self._request("get_object", path)
            return answer["Body"].read(), answer["ETag"]
        except FileNotFoundError:
            return None, ""

    def replace(self, path: str, content: bytes, etag: str) -> bool:
        """Write an object if it still has this ETag, or still does not exist if `etag` is empty; else return False."""
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        try:
            self._request("put_object", path, Body=content, **condition)
        except (FileExistsError, FileNotFoundError):
            return False
        except _UnsupportedError:  # one writer at a time is then up to Dagster's pools alone
            self._request("put_object", path, Body=content)
        return True

    def _request(self, operation: str, path: str, **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        key = f"{self._prefix}/{path}".lstrip("/")
        try:
            return getattr(self._client, operation)(Bucket=self._bucket, Key=key, **arguments)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _CHANGED:
                raise FileExistsError(path) from error
            if code in _ABSENT:
                raise FileNotFoundError(path) from error
            if code in _UNSUPPORTED:
                raise _UnsupportedError(operation) from error
            raise StorageUnavailableError(f"s3://{self._bucket}/{key}: {error}") from error
        except BotoCoreError as error:
            raise StorageUnavailableError(f"s3://{self._bucket}/{key}: {error}") from error

"""Variables of other projects, which our libraries would read: our own settings decide.

A shell or a container often has variables that were set for another program. `MLFLOW_RUN_ID` would write our training
into another project's run, `WEB_CONCURRENCY` would start three APIs, `HTTP_PROXY` would send calls to our own services
to a proxy that does not know them, and a `default` entry of ~/.netrc would send its password to MLflow.
"""

from __future__ import annotations

import os
import re
import ssl
import sys
from pathlib import Path

from features.errors import InvalidInputError

_FOREIGN = re.compile(
    # MLflow: all but credentials, certificates, time limits, the storage of artefacts, and what the server of a local
    # run or of the chart is given.
    r"MLFLOW_(?!TRACKING_(USERNAME|PASSWORD|TOKEN|AUTH|AWS_SIGV4|INSECURE_TLS|SERVER_CERT_PATH|CLIENT_CERT_PATH)$"
    r"|HTTP_REQUEST_\w+$|S3_\w+$|GCS_\w+$|BOTO_\w+$|SERVER_\w+$|BACKEND_STORE_URI$|ARTIFACTS_DESTINATION$"
    r"|SQLALCHEMYSTORE_\w+$|DISABLE_TELEMETRY$|ENABLE_ARTIFACTS_PROGRESS_BAR$|SUPPRESS_PRINTING_URL_TO_STDOUT$)\w+"
    # uvicorn, also inside Dagster and MLflow, and gunicorn.
    r"|WEB_CONCURRENCY|FORWARDED_ALLOW_IPS|UVICORN_\w+|GUNICORN_CMD_ARGS"
    # Streamlit: each of its options has a variable.
    r"|STREAMLIT_(?!BROWSER_GATHER_USAGE_STATS$)\w+"
    # Dagster: options of its commands.
    r"|DAGSTER_(CLI|WEBSERVER|DAEMON|GRPC)_\w+|DAGSTER_(PYTHON_FILE|MODULE_NAME|PACKAGE_NAME|WORKING_DIRECTORY)"
    r"|DAGSTER_(ATTRIBUTE|(?i:AUTOLOAD_DEFS_MODULE_NAME)|LOCATION_NAME|USE_PYTHON_ENVIRONMENT_ENTRY_POINT)"
    # Python: docstrings, which it would drop, are texts that users read in Dagster and in the API's document.
    r"|PYTHONOPTIMIZE"
    # OpenTelemetry: all but the collector and how it is reached. Some values end the process that reads them.
    r"|OTEL_(?!EXPORTER_OTLP_ENDPOINT$|EXPORTER_OTLP_(TRACES_)?(HEADERS|CERTIFICATE|CLIENT_KEY|CLIENT_CERTIFICATE)$)\w+"
)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def prepare_environment() -> list[str]:
    """Change the environment of this process so that it steers our libraries only as our settings say.

    Proxies stay in use for other hosts, such as those of sources. Child processes inherit the result.

    Returns
    -------
    Names of the variables that were removed, sorted.

    Raises
    ------
    InvalidInputError
        If a variable names certificates that cannot be read: each request over TLS would fail.
    """
    _check_certificates()
    _bypass_proxies_on_loopback()
    # requests, in MLflow's client, would send the credentials of ~/.netrc, even in place of MLflow's own token.
    os.environ["NETRC"] = os.devnull
    return remove_foreign_variables()


def remove_foreign_variables() -> list[str]:
    """Remove the variables that libraries would prefer to our settings, and return their names, sorted."""
    names = sorted(name for name in os.environ if _FOREIGN.fullmatch(name))
    for name in names:
        del os.environ[name]
    return names


def keep_compiled_modules() -> None:
    """Let the processes of a local run keep the bytecode of their modules, whatever the environment says.

    Containers often set PYTHONDONTWRITEBYTECODE. Each of a local run's many processes would then compile its libraries
    again, and the first run would take three times as long.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


def _bypass_proxies_on_loopback() -> None:
    for name in ("no_proxy", "NO_PROXY"):  # libraries differ in the one that they prefer
        hosts = [host for other in ("no_proxy", "NO_PROXY") for host in os.environ.get(other, "").split(",")]
        os.environ[name] = ",".join(dict.fromkeys([*filter(None, map(str.strip, hosts)), *_LOOPBACK]))


def _check_certificates() -> None:
    checked: set[str] = set()
    for name in _CERTIFICATES:
        if not (path := os.environ.get(name)) or path in checked:  # they often name one file; reading it takes 40 ms
            continue
        checked.add(path)
        try:
            if not Path(path).exists():
                raise FileNotFoundError("there is no such file or folder")
            if not Path(path).is_dir():
                ssl.create_default_context(cafile=path)
        except OSError as error:  # also ssl.SSLError
            reason = error.strerror or str(error)
            raise InvalidInputError(f"{name}={path!r} cannot be used: {reason}; correct or unset it") from error

"""Variables of other projects, which would steer Streamlit or end every request of the viewer."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

_KEPT = "STREAMLIT_BROWSER_GATHER_USAGE_STATS"
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""What httpx reads its authorities from, whether the API's address is encrypted or not."""


def remove_streamlit_variables() -> None:
    """Remove the variables of Streamlit's options: the command line and `.streamlit/config.toml` decide.

    Set for another app, they would move this one to another port or path, or show tracebacks to readers.
    """
    for name in [name for name in os.environ if name.startswith("STREAMLIT_") and name != _KEPT]:
        del os.environ[name]


def certificate_problem() -> str | None:
    """Return why certificates of the environment cannot be used, in one sentence; None if they can."""
    for name in _CERTIFICATES:
        path = os.environ.get(name)
        try:
            if path and not Path(path).is_dir():
                ssl.create_default_context(cafile=path)
        except OSError as error:  # also ssl.SSLError
            return f"{name}={path!r} cannot be used: {error.strerror or error}; correct or unset it"
    return None

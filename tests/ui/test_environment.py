"""Variables that were set for other apps: the viewer keeps its port, its path and its settings, or says why it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import certifi
import httpx
import pytest

from tests.support.fake_api import wait_until
from tests.support.page_types import OpenPage, PageText
from tests.support.ports import free_port
from ui.environment import certificate_problem

ROOT = Path(__file__).parents[2]
ELSEWHERE = {
    "STREAMLIT_SERVER_PORT": "1",
    "STREAMLIT_SERVER_BASE_URL_PATH": "elsewhere",
    "STREAMLIT_SERVER_ADDRESS": "192.0.2.1",
    "STREAMLIT_SERVER_SSL_CERT_FILE": "missing.pem",
    "STREAMLIT_CLIENT_SHOW_ERROR_DETAILS": "full",
}


@pytest.mark.medium
def test_options_of_another_streamlit_app_do_not_move_the_viewer() -> None:
    """The command line and the viewer's own file decide."""
    port = free_port()
    options = ["--server.port", str(port), "--server.address", "127.0.0.1"]
    command = [sys.executable, "-m", "ui", *options]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | ELSEWHERE, stdout=subprocess.DEVNULL)

    def healthy() -> bool:
        assert process.poll() is None
        try:
            return httpx.get(f"http://127.0.0.1:{port}/_stcore/health").is_success
        except httpx.HTTPError:
            return False

    try:
        wait_until(healthy, "the viewer")
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_the_viewer_ends_with_one_sentence_about_certificates(tmp_path: Path) -> None:
    environment = os.environ | {"SSL_CERT_FILE": str(tmp_path / "missing.pem")}
    ended = subprocess.run(
        [sys.executable, "-m", "ui"], cwd=ROOT, env=environment, text=True, capture_output=True, timeout=120
    )
    assert ended.returncode == 1
    (line,) = (ended.stdout + ended.stderr).strip().splitlines()
    assert line.startswith("SSL_CERT_FILE=")
    assert line.endswith("correct or unset it")


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_what_httpx_can_load_is_no_problem(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert certificate_problem() is None
    monkeypatch.setenv(name, str(tmp_path) if name == "SSL_CERT_DIR" else certifi.where())
    assert certificate_problem() is None
    (tmp_path / "no.pem").write_text("no certificate")
    monkeypatch.setenv(name, str(tmp_path / "no.pem"))
    assert str(certificate_problem()).startswith(f"{name}=")


@pytest.mark.usefixtures("api")
def test_a_page_names_certificates_that_cannot_be_used(
    open_page: OpenPage, text: PageText, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where `streamlit run` started the viewer."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    app = open_page()
    assert not app.exception
    assert "SSL\\_CERT\\_FILE" in text(app) or "SSL_CERT_FILE" in text(app)
    assert "correct or unset it" in text(app)

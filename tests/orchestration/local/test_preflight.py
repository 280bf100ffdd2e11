"""Each obstacle to a local run is reported in one clear sentence."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from features.io.store import Lake
from orchestration.dagster_instance_settings import InstanceSettings
from orchestration.local.instance import prepare_instance
from orchestration.local.preflight import (
    LOCK,
    CannotStartError,
    check_answers,
    check_disk,
    check_host,
    check_ports,
    read_run_settings,
    secure_home,
    single_instance_lock,
    write_run_settings,
)


@pytest.fixture
def umask() -> Iterator[None]:
    """What the test sets ends with it."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
def test_home_is_for_its_owner_only(tmp_path: Path) -> None:
    """So are an existing home and whatever this process and its children write."""
    new, old = tmp_path / "new" / "home", tmp_path / "old"
    old.mkdir(mode=0o755)
    for home in (new, old):
        secure_home(home, None)
        assert mode(home) == 0o700
    subprocess.run(["touch", str(new / "mlflow.db")], check=True)
    Lake(str(new / "lake")).write_bytes("reports/x.json", b"{}")
    assert [mode(new / "mlflow.db"), mode(new / "lake/reports/x.json"), mode(new / "lake")] == [0o600, 0o600, 0o700]


@pytest.mark.usefixtures("umask")
def test_lake_elsewhere_stays_readable_for_others(tmp_path: Path) -> None:
    """Another user's API may read it."""
    secure_home(tmp_path / "home", str(tmp_path / "lake"))
    Lake(str(tmp_path / "lake")).write_bytes("reports/x.json", b"{}")
    assert mode(tmp_path / "home") == 0o700
    assert mode(tmp_path / "lake/reports/x.json") == 0o644


@pytest.mark.usefixtures("umask")
def test_shared_folder_keeps_its_permissions(tmp_path: Path) -> None:
    """A home such as /tmp belongs to everybody."""
    tmp_path.chmod(0o1777)
    secure_home(tmp_path, None)
    assert mode(tmp_path) == 0o1777


def test_a_taken_port_is_named_with_its_setting() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(CannotStartError, match=rf"port {port} is in use.*TOUCHLINE_API_PORT"):
            check_ports({"TOUCHLINE_API_PORT": port})


def test_two_services_on_one_port_are_refused() -> None:
    with pytest.raises(CannotStartError, match="TOUCHLINE_B and TOUCHLINE_A are both 16001"):
        check_ports({"TOUCHLINE_A": 16001, "TOUCHLINE_B": 16001})


@pytest.mark.parametrize("host", ["192.0.2.7", "no.such.host.invalid"])
def test_address_of_another_machine_is_refused(host: str) -> None:
    check_host("TOUCHLINE_UI_HOST", "127.0.0.1")
    with pytest.raises(CannotStartError, match=f"TOUCHLINE_UI_HOST is '{host}', which is no address of this machine"):
        check_host("TOUCHLINE_UI_HOST", host)


def test_external_service_that_does_not_answer_is_named() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        address = {"TOUCHLINE_BROKER_URL": f"amqp://guest:guest@127.0.0.1:{port}/v"}
        with pytest.raises(CannotStartError, match=rf"nothing answers at 127.0.0.1:{port} .*TOUCHLINE_BROKER_URL"):
            check_answers(address)
        holder.listen()
        check_answers(address)


def test_an_address_without_a_port_means_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], _: float) -> socket.socket:
        addresses.append(address)
        return socket.socket()

    monkeypatch.setattr(socket, "create_connection", connect)
    check_answers(
        {"A": "amqps://mq.example/v", "B": "postgresql+psycopg2://u:p@pg.example/db", "C": "http://ml.example"}
    )
    assert addresses == [("mq.example", 5671), ("pg.example", 5432), ("ml.example", 80)]
    with pytest.raises(CannotStartError, match="D names no port"):
        check_answers({"D": "pigeon://post.example"})


def test_a_store_on_a_unix_socket_is_found() -> None:
    address = {"TOUCHLINE_BROKER_URL": "unix://:p%40ss@/dev/null?db=3"}
    with pytest.raises(CannotStartError, match=r"nothing answers at the socket /dev/null .*TOUCHLINE_BROKER_URL"):
        check_answers(address)
    with socket.socket(socket.AF_UNIX) as holder, tempfile.TemporaryDirectory() as folder:
        holder.bind(f"{folder}/my store.sock")
        holder.listen()
        check_answers({"TOUCHLINE_BROKER_URL": f"unix://{folder}/my%20store.sock?db=3"})


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(CannotStartError, match=r"is not writable.*TOUCHLINE_HOME"):
        check_disk(blocked)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="a small disk can be mounted by root only")
def test_a_full_disk_is_one_clear_sentence(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)], check=False)
    if mounted.returncode != 0:
        pytest.skip("this machine does not allow mounts")
    try:
        with pytest.raises(CannotStartError, match=r"the disk under .* is full: 2 MB free, 500 MB needed"):
            check_disk(small)
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_one_run_per_home(tmp_path: Path) -> None:
    """A second run is refused, and the lock ends with the first."""
    with (
        single_instance_lock(tmp_path),
        pytest.raises(CannotStartError, match="already running"),
        single_instance_lock(tmp_path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
    with single_instance_lock(tmp_path):
        pass


def test_settings_of_a_run_are_readable_while_it_runs(tmp_path: Path) -> None:
    settings = {"TOUCHLINE_UI_PORT": "18501"}
    with single_instance_lock(tmp_path):
        assert read_run_settings(tmp_path) == {}
        write_run_settings(tmp_path, settings)
        assert read_run_settings(tmp_path) == settings
        assert (tmp_path / LOCK).stat().st_mode & 0o077 == 0
    write_run_settings(tmp_path, settings)  # as a killed run leaves it
    with pytest.raises(CannotStartError, match="Touchline is not running in"):
        read_run_settings(tmp_path)


def test_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        environment = {**os.environ, "TOUCHLINE_HOME": str(tmp_path), "TOUCHLINE_API_PORT": port}
        done = _touchline("up", environment)
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert f"port {port} is in use" in done.stdout
    assert "TOUCHLINE_API_PORT" in done.stdout


def test_a_setting_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    done = _touchline("up", {**os.environ, "TOUCHLINE_HOME": str(tmp_path), "TOUCHLINE_API_PORT": "eighty"})
    assert done.returncode == 2
    assert "TOUCHLINE_API_PORT='eighty'" in done.stdout


def test_make_names_a_python_that_is_too_old_or_missing(tmp_path: Path, repository: Path) -> None:
    shutil.copy(repository / "Makefile", tmp_path)
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    old = tmp_path / "python-old"
    old.write_text(
        f'#!/bin/sh\n[ "$1" = -V ] && echo "Python 3.9.2" && exit\nexec {sys.executable} -c "import sys; sys.exit(1)"\n'
    )
    old.chmod(0o755)
    for python, sentence in ((str(old), "Python 3.11 to 3.13 is needed"), ("/nowhere/python", "is not installed")):
        done = subprocess.run(
            ["make", "up", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode != 0
        assert sentence in done.stderr
        assert len([line for line in done.stderr.splitlines() if line.startswith("touchline:")]) == 1


def _touchline(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestration.local.cli", command],
        env=environment,
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_invalid_pipeline_setting_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from orchestration.local.pipeline import main

    monkeypatch.setenv("TOUCHLINE_FEATURES", "odds")
    assert main() == 2
    errors = capsys.readouterr().err
    assert (
        errors
        == "setting TOUCHLINE_FEATURES='odds': expected goals, shots, market, goals+odds, shots+odds or market+odds\n"
    )


@pytest.mark.parametrize("name", ["what?", "a%20b"])
def test_a_home_that_no_address_can_name_is_refused(tmp_path: Path, name: str) -> None:
    """Nothing is created there."""
    with pytest.raises(CannotStartError, match="set TOUCHLINE_HOME to another folder"):
        check_disk(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["two words", "a#b", "100%", "a:b", "Süd"])
def test_a_home_may_have_other_reserved_characters(tmp_path: Path, name: str) -> None:
    check_disk(tmp_path / name)
    (home := tmp_path / name / "dagster").mkdir()
    prepare_instance(InstanceSettings(home=tmp_path / name))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.get_runs() == []
    assert [path.name for path in tmp_path.iterdir()] == [name]

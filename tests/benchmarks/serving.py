"""The service beside `mlflow models serve` of the same registered model: `python -m tests.benchmarks.serving`.

Starts a RabbitMQ node (quorum queue, confirms), a Valkey for results, one API process and one worker, and MLflow's own
server with two processes; asks each in turns and prints all figures, with the processor time that each process spent on
a request: on a machine that others use, only the ratios of turns and the processor time mean something.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil

from features.matrix import FEATURES
from tests.benchmarks.load import Outcome, closed, opened
from tests.serving.rabbit import Rabbit
from tests.serving.stage import Service, World, build, port, wait_until
from tests.serving.store import Store

CLUBS = ("Arsenal", "Chelsea", "Liverpool", "Everton", "Fulham", "Brentford", "Burnley", "Sunderland")
PAIRS = [{"home_team": home, "away_team": away} for home in CLUBS for away in CLUBS if home != away]


def mlflow_server(world: World, folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """`mlflow models serve` with two workers, as its documentation has it."""
    at = port()
    command = [str(Path(sys.executable).with_name("mlflow")), "models", "serve", "--model-uri",
               "models:/match-outcome/1", "--env-manager", "local", "--port", str(at), "--workers", "2"]  # fmt: skip
    output = (folder / "mlflow.log").open("ab")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it starts uvicorn by name
    environment = {**os.environ, "PATH": path, "MLFLOW_TRACKING_URI": world.tracking_uri, "PYTHONPATH": str(Path.cwd())}
    process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
    wait_until(lambda: httpx.get(f"http://127.0.0.1:{at}/ping").status_code == 200, 180)
    return process, f"http://127.0.0.1:{at}/invocations"


def rows(count: int) -> bytes:
    """Model input as MLflow's server takes it: the numbers themselves."""
    return json.dumps(
        {"dataframe_split": {"columns": list(FEATURES), "data": [[0.1] * len(FEATURES)] * count}}
    ).encode()


def processor_seconds(roots: list[int]) -> float:
    """Spent so far by processes and their children."""
    total = 0.0
    for root in roots:
        family = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
        for one in family:
            times = one.cpu_times()
            total += times.user + times.system
    return total


async def measure(name: str, roots: list[int], run: asyncio.Future[Outcome] | object) -> Outcome:
    """Run one turn and print it."""
    before = processor_seconds(roots)
    outcome: Outcome = await run  # type: ignore[misc]
    spent = (processor_seconds(roots) - before) * 1000 / max(sum(outcome.statuses.values()), 1)
    print(f"  {name:<44} {outcome}   {spent:6.2f} ms of processor a request", flush=True)
    return outcome


async def turns(url: str, ours: list[int], peer_url: str, peer: list[int], options: argparse.Namespace) -> None:
    """Every measurement, ours and the peer's one after the other."""
    one = [json.dumps(pair).encode() for pair in PAIRS]
    many = [json.dumps({"matches": (PAIRS * 20)[:1000]}).encode()]
    for target, bodies in ((f"{url}/predict", one), (peer_url, [rows(1)])):
        await closed(target, bodies, 8, 2)  # warm
    ratios = []
    for turn in range(options.turns):
        print(f"turn {turn + 1}, load average {os.getloadavg()[0]:.1f}")
        mine = await measure("touchline, 32 connections", ours, closed(f"{url}/predict", one, 32, options.seconds))
        theirs = await measure(
            "mlflow models serve, 32 connections", peer, closed(peer_url, [rows(1)], 32, options.seconds)
        )
        ratios.append(mine.rate / theirs.rate)
        for rate in options.rates:
            await measure(f"touchline, {rate}/s", ours, opened(f"{url}/predict", one, rate, options.seconds))
        await measure("touchline, batch of 1,000", ours, closed(f"{url}/predict/batch", many, 1, options.seconds))
        await measure("mlflow models serve, batch of 1,000", peer, closed(peer_url, [rows(1000)], 1, options.seconds))
        await measure(
            "touchline, GET /predict/{match_id}", ours, opened(f"{url}{options.match}", [None], 100, options.seconds)
        )
    print(f"saturated, ours over theirs: {', '.join(f'{ratio:.1f}' for ratio in ratios)}")


def memory(roots: list[int]) -> str:
    """Proportional set size of processes and their children: shared pages counted once."""
    family = [one for root in roots for one in (psutil.Process(root), *psutil.Process(root).children(recursive=True))]
    return f"{sum(one.memory_full_info().pss for one in family) / 1e6:.0f} MB in {len(family)} processes"


def main() -> None:
    """Set the stage, measure, clear up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rates", type=int, nargs="*", default=[100, 400])
    parser.add_argument("--match", default="/predict/eng-premier-league-2025-26-arsenal-chelsea")
    parser.add_argument("--folder", type=Path, default=None, help="where the brokers keep their data")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        world = build(folder)
        rabbit, store = Rabbit(folder / "rabbit", port), Store(folder / "store")
        service = Service(world, rabbit.url, f"{store.url}/0", folder)
        peer = None
        try:
            rabbit.start(180)
            store.start()
            started = time.monotonic()
            service.start_api()
            service.start_worker()
            service.wait_ready(180)
            print(f"API and worker ready with the model loaded after {time.monotonic() - started:.1f} s")
            ours = [process.pid for process in service.processes.values()]
            print(f"memory at rest: {memory(ours)}")
            peer, peer_url = mlflow_server(world, folder)
            asyncio.run(turns(service.url, ours, peer_url, [peer.pid], options))
            print(f"memory afterwards: {memory(ours)}")
        finally:
            service.stop()
            store.kill()
            rabbit.stop()
            if peer is not None:
                os.killpg(peer.pid, 15)
                peer.wait(30)


if __name__ == "__main__":
    main()

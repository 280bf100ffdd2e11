"""The service beside other servers of the same registered model: `python -m tests.benchmarks.serving`.

Starts a RabbitMQ node (quorum queue, confirms, on the disk), a Valkey for results, MLflow's registry, one API process
and one worker; beside them `mlflow models serve`, MLServer and BentoML, each only while it is asked. Prints all
figures, with the processor time that the processes spent on a request: on a machine that others use, only the ratios
within a turn and the processor time mean something.

The others answer from ready model input; the service takes names of clubs, finds their states and the fixture, and
sends a task through a durable queue.
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
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import psutil

from features.forecasts import SCHEMA
from features.io.sources.bundled import COMPETITION, REPLAY_AS_OF
from features.io.store import week_of
from tests.benchmarks import peers
from tests.benchmarks.load import Outcome, closed, opened
from tests.serving.rabbit import Rabbit
from tests.serving.stage import REPOSITORY, Service, World, build, port, wait_until
from tests.serving.store import Store

CLUBS = ("Arsenal", "Chelsea", "Liverpool", "Everton", "Fulham", "Brentford", "Burnley", "Sunderland")
PAIRS = [{"home_team": home, "away_team": away} for home in CLUBS for away in CLUBS if home != away]
ONE = [json.dumps(pair).encode() for pair in PAIRS]
MANY = [json.dumps({"matches": (PAIRS * 20)[:1000]}).encode()]
PUBLISHED = "/predict/eng-premier-league-2025-26-arsenal-chelsea"


def family(roots: list[int]) -> list[psutil.Process]:
    """Processes and their children."""
    return [one for root in roots for one in (psutil.Process(root), *psutil.Process(root).children(recursive=True))]


def processor_seconds(roots: list[int]) -> float:
    """Spent so far by processes and their children."""
    return sum(times.user + times.system for times in (one.cpu_times() for one in family(roots)))


def memory(roots: list[int]) -> float:
    """Proportional set size of processes and their children in MB: shared pages counted once."""
    return sum(one.memory_full_info().pss for one in family(roots)) / 1e6


async def measure(name: str, roots: list[int], run: object) -> Outcome:
    """Run one turn and print it."""
    before = processor_seconds(roots)
    outcome: Outcome = await run  # type: ignore[misc]  # a coroutine of `load`
    spent = (processor_seconds(roots) - before) * 1000 / max(sum(outcome.statuses.values()), 1)
    print(f"  {name:<44} {outcome}   {spent:6.2f} ms of processor a request", flush=True)
    return outcome


async def ours(url: str, roots: list[int], options: argparse.Namespace) -> tuple[Outcome, Outcome]:
    """One turn of the service; its saturated and its batch outcome."""
    seconds = options.seconds
    await closed(f"{url}/predict", ONE, 8, 1)  # warm
    saturated = await measure("touchline, 32 connections", roots, closed(f"{url}/predict", ONE, 32, seconds))
    for rate in options.rates:
        await measure(f"touchline, {rate}/s", roots, opened(f"{url}/predict", ONE, rate, seconds))
    batch = await measure("touchline, batch of 1,000", roots, closed(f"{url}/predict/batch", MANY, 1, seconds))
    await measure("touchline, GET /predict/{match_id}, 100/s", roots, opened(url + PUBLISHED, [None], 100, seconds))
    return saturated, batch


async def theirs(peer: peers.Peer, seconds: float) -> tuple[Outcome, Outcome]:
    """One turn of a peer."""
    roots = [peer.process.pid]
    await closed(peer.url, [peer.body(1)], 8, 1)  # warm
    saturated = await measure(f"{peer.name}, 32 connections", roots, closed(peer.url, [peer.body(1)], 32, seconds))
    batch = await measure(f"{peer.name}, batch of 1,000", roots, closed(peer.url, [peer.body(1000)], 1, seconds))
    return saturated, batch


def compare(service: Service, world: World, folder: Path, options: argparse.Namespace) -> None:
    """The service and each peer in turns, one running beside the service at a time."""
    roots = [process.pid for process in service.processes.values()]
    makers: list[Callable[[World, Path], peers.Peer]] = [getattr(peers, name) for name in options.peers]
    for maker in makers:
        try:
            peer = maker(world, folder)
        except (subprocess.CalledProcessError, AssertionError) as error:
            print(f"{maker.__name__}: left out, it cannot be started here ({error})")
            continue
        try:
            for turn in range(options.turns):
                print(f"beside {peer.name}, turn {turn + 1}, load average {os.getloadavg()[0]:.1f}")
                mine = asyncio.run(ours(service.url, roots, options))
                other = asyncio.run(theirs(peer, options.seconds))
                one, many = (a.rate / b.rate for a, b in zip(mine, other, strict=True))
                print(f"  touchline : {peer.name} = {one:.2f} one by one, {many:.2f} by batch of 1,000", flush=True)
        finally:
            peer.stop()


def imports(world: World) -> None:
    """What a fresh process waits for."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "TOUCHLINE_LAKE": str(world.lake_root),
        "TOUCHLINE_MLFLOW_TRACKING_URI": world.tracking_uri,
    }
    preload = "from serving import calls; calls.preload(); "
    for name, code in (
        ("import of the API", "import serving.app; print(time.time() - t)"),
        ("import of the worker", "import serving.worker; print(time.time() - t)"),
        ("libraries of the model, before the fork", f"{preload}print(time.time() - t)"),
        (
            "model from the registry, on first need",
            f"{preload}t = time.time(); calls.predictor().follow(); print(time.time() - t)",
        ),
    ):
        command = [sys.executable, "-W", "ignore", "-c", f"import time; t = time.time(); {code}"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        print(f"{name:<44} {float(done.stdout):6.2f} s")


def publish(world: World, year: int, count: int) -> str:
    """Put forecasts of a made-up season into the lake, as one week; the match_id of the last one."""
    lake = world.lake
    real = lake.read_table("forecasts", week_of(REPLAY_AS_OF)).head(1)
    made = real.loc[real.index.repeat(count)].reset_index(drop=True)
    numbers = made.index.astype(str)
    season = f"{year}-{(year + 1) % 100:02d}"
    made["season"], made["home_team"], made["away_team"] = season, "Home " + numbers, "Away " + numbers
    made["match_id"] = f"{COMPETITION}-{season}-home-" + numbers + "-away-" + numbers
    lake.write_table("forecasts", f"{year}-01-01", made, SCHEMA)
    return str(made["match_id"].iloc[-1])


def look_up(world: World, folder: Path, seconds: float) -> None:
    """GET /predict/{match_id} over a thousand and over a million published forecasts, and how soon a new week shows."""
    sizes = []
    for weeks, each in ((1, 1_000), (40, 25_000)):
        match_ids = [publish(world, 1900 + week, each) for week in range(weeks)]
        service = Service(world, "redis://127.0.0.1:1/0", "redis://127.0.0.1:1/0", folder)  # look-ups need no broker
        service.extra["TOUCHLINE_REFRESH_SECONDS"] = "5"  # as it comes
        service.start_api()

        def shown(match_id: str, url: str = service.url) -> bool:
            return httpx.get(f"{url}/predict/{match_id}").status_code == 200

        try:
            wait_until(partial(shown, match_ids[-1]), 120)
            time.sleep(6)
            roots = [service.processes["api"].pid]
            url = f"{service.url}/predict/{match_ids[-1]}"
            asyncio.run(measure(f"GET, {weeks * each:,} published, 100/s", roots, opened(url, [None], 100, seconds)))
            sizes.append(memory(roots))
            began = time.monotonic()
            wait_until(partial(shown, publish(world, 2100 + weeks, 10)), 60)
            print(f"  a newly published week showed after {time.monotonic() - began:.1f} s")
        finally:
            service.stop()
    print(f"  memory of the API: {sizes[0]:.0f} MB, then {sizes[1]:.0f} MB: {sizes[1] - sizes[0]:+.0f} MB")


def main() -> None:
    """Set the stage, measure, clear up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rates", type=int, nargs="*", default=[100, 400])
    parser.add_argument("--peers", nargs="*", default=["mlflow", "mlserver", "bentoml"])
    parser.add_argument("--no-look-up", action="store_true", help="leave out the million published forecasts")
    parser.add_argument("--folder", type=Path, default=None, help="where the brokers keep their data")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        made = build(folder)
        registry, world = peers.registry_server(made, folder)
        rabbit, store = Rabbit(folder / "rabbit", port), Store(folder / "store")
        service = Service(world, rabbit.url, f"{store.url}/0", folder)
        try:
            imports(world)
            rabbit.start(180)
            store.start()
            started = time.monotonic()
            service.start_api()
            service.start_worker()
            service.wait_ready(180)
            print(f"API and worker ready, model loaded, after {time.monotonic() - started:14.2f} s")
            time.sleep(5)
            for part, process in service.processes.items():
                print(f"memory at rest, {part:<28} {memory([process.pid]):6.0f} MB")
            roots = [process.pid for process in service.processes.values()]
            print(f"memory at rest, together {memory(roots):25.0f} MB")
            compare(service, made, folder, options)
            print(f"memory afterwards, together {memory(roots):22.0f} MB")
            service.stop()
            if not options.no_look_up:
                look_up(made, folder, options.seconds)
        finally:
            service.stop()
            store.kill()
            rabbit.stop()
            os.killpg(registry.pid, 15)
            registry.wait(30)


if __name__ == "__main__":
    main()

"""The service beside other servers of the same registered model: `python -m tests.benchmarks.serving`.

Starts a RabbitMQ node (quorum queue, confirms, on the disk), a Valkey for results, MLflow's registry, one API process
and one worker; beside them `mlflow models serve`, MLServer and BentoML, each only while it is asked. Prints all
figures, with the processor time that the processes spent on a request: on a machine that others use, only the ratios
within a turn and the processor time mean something.

The others answer from ready model input, here that of real matches; the service takes names of clubs, finds their
states and the fixture, sends a task through a durable queue, and answers with documents. What a caller of the others
has to do for the same answer is measured too: from names to documents with our own code, the model's call going to
the server.
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
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import httpx
import psutil

from features.forecasts import SCHEMA
from features.io.sources.bundled import COMPETITION, REPLAY_AS_OF
from features.io.store import week_of
from serving.settings import ServingSettings
from tests.benchmarks import peers
from tests.support.load_generator import Outcome, closed, opened
from tests.support.rabbitmq_server import Rabbit
from tests.support.redis_server import Store
from tests.support.service_harness import REPOSITORY, Service, World, build, wait_until

CLUBS = (
    "AFC Bournemouth",
    "Arsenal",
    "Aston Villa",
    "Brentford",
    "Brighton & Hove Albion",
    "Burnley",
    "Chelsea",
    "Crystal Palace",
    "Everton",
    "Fulham",
    "Leeds United",
    "Liverpool",
    "Manchester City",
    "Manchester United",
    "Newcastle United",
    "Nottingham Forest",
    "Sunderland",
    "Tottenham Hotspur",
    "West Ham United",
    "Wolverhampton Wanderers",
)
AS_IT_COMES = {
    f"TOUCHLINE_{name.upper()}": str(ServingSettings.model_fields[name].default)
    for name in ("catalogue_refresh_seconds", "model_poll_seconds")
}
"""The settings' own values: tests look for something new ten times as often."""
PAIRS = [{"home_team": home, "away_team": away} for home in CLUBS for away in CLUBS if home != away]
ONE = [json.dumps(pair).encode() for pair in PAIRS]
BATCHES = {"batches of 1,000, one caller": 1, "batches of 1,000, 8 callers": 8, "batches of 1,000, 32 callers": 32}
"""Callers that send their next batch when they have their answer."""
MANY = [json.dumps({"matches": (PAIRS * 3)[:1000]}).encode()]


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


async def ours(url: str, roots: list[int], options: argparse.Namespace) -> list[Outcome]:
    """One turn of the service: one by one by 32 callers, then `BATCHES`."""
    seconds = options.seconds
    await closed(f"{url}/predict", ONE, 8, 1)  # warm
    saturated = await measure("touchline, 32 connections", roots, closed(f"{url}/predict", ONE, 32, seconds))
    TARGETS.see("saturated with 32 connections, requests a second", saturated.rate)
    failed = saturated.failures
    for rate in options.rates:
        outcome = await measure(f"touchline, {rate}/s", roots, opened(f"{url}/predict", ONE, rate, seconds))
        failed += outcome.failures
        TARGETS.see(f"{rate} a second, p50 in ms", outcome.milliseconds(50))
        TARGETS.see(f"{rate} a second, p99 in ms", outcome.milliseconds(99))
    batches = [
        await measure(f"touchline, {name}", roots, closed(f"{url}/predict/batch", MANY, callers, seconds))
        for name, callers in BATCHES.items()
    ]
    TARGETS.see("batch of 1,000 matches, p50 in ms", batches[0].milliseconds(50))
    failed += sum(outcome.failures for outcome in batches)
    TARGETS.see("requests of a turn that failed", failed)  # their time is in none of the figures above
    return [saturated, *batches]


async def theirs(peer: peers.Peer, seconds: float) -> list[Outcome]:
    """One turn of a peer, in the same order."""
    roots = [peer.process.pid]
    x = peers.real_input()
    one, many = [peer.body(row[None]) for row in x[:56]], [peer.body(x)]
    await closed(peer.url, one, 8, 1)  # warm
    saturated = await measure(f"{peer.name}, 32 connections", roots, closed(peer.url, one, 32, seconds))
    batches = [
        await measure(f"{peer.name}, {name}", roots, closed(peer.url, many, callers, seconds))
        for name, callers in BATCHES.items()
    ]
    return [saturated, *batches]


@dataclass
class Targets:
    """What was hoped for, what was seen in each turn, and the verdict: the median counts."""

    bounds: dict[str, tuple[float, bool]] = field(default_factory=dict)
    seen: dict[str, list[float]] = field(default_factory=dict)

    def see(self, name: str, value: float) -> None:
        """Note a figure; one without a bound is not judged."""
        if name in self.bounds:
            self.seen.setdefault(name, []).append(value)

    def judge(self) -> bool:
        """Print the table; True if every figure that was seen meets its bound."""
        verdicts: Counter[str] = Counter()
        print(f"{'target':<60} {'bound':>10} {'median':>10}")
        for name, (bound, least) in self.bounds.items():
            if name not in self.seen:
                verdict, value = "not measured", float("nan")
            else:
                value = median(self.seen[name])
                verdict = "met" if (value >= bound if least else value <= bound) else "MISSED"
            verdicts[verdict] += 1
            print(f"{name:<60} {bound:>10,.2f} {value:>10,.2f}  {verdict}")
        print(", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()))
        return not verdicts["MISSED"]


TARGETS = Targets(
    {
        "100 a second, p50 in ms": (5, False),
        "100 a second, p99 in ms": (12, False),
        "400 a second, p50 in ms": (6, False),
        "400 a second, p99 in ms": (18, False),
        "saturated with 32 connections, requests a second": (1500, True),
        "requests of a turn that failed": (0, False),
        "times mlflow models serve, one by one": (3.5, True),
        "times MLServer, one by one": (1, True),
        "times BentoML, one by one": (1, True),
        "batch of 1,000 matches, p50 in ms": (60, False),
        **{f"times mlflow models serve, {name}": (5, True) for name in BATCHES},
        "GET of 1,000 published, p99 in ms": (5, False),
        "GET of 1,000,000 published, p99 in ms": (10, False),
        "memory that a million published forecasts add, MB": (200, False),
        "a new week shows after, s": (10, False),
        "memory at rest of API and worker, MB": (450, False),
    }
)


def compare(service: Service, world: World, folder: Path, options: argparse.Namespace) -> None:
    """The service and each peer in turns, one running beside the service at a time."""
    roots = [process.pid for process in service.processes.values()]
    makers: list[Callable[[World, Path], peers.Peer]] = [getattr(peers, name) for name in options.peers]
    for maker in makers:
        try:
            peer = maker(world, folder)
        except (subprocess.CalledProcessError, AssertionError, OSError) as error:
            print(f"{maker.__name__}: left out, it cannot be started here ({error})")
            continue
        try:
            for turn in range(options.turns):
                print(f"beside {peer.name}, turn {turn + 1}, load average {os.getloadavg()[0]:.1f}")
                mine = asyncio.run(ours(service.url, roots, options))
                other = asyncio.run(theirs(peer, options.seconds))
                same = peers.names_to_documents(peer, world, MANY[0], options.seconds)
                print(f"  {peer.name}, batches from names to documents      {same:8.0f}/s", flush=True)
                names = ("one by one", *BATCHES)
                for name, a, b in zip(names, mine, other, strict=True):
                    TARGETS.see(f"times {peer.name}, {name}", a.rate / b.rate)
                    print(f"  touchline : {peer.name} = {a.rate / b.rate:.2f}, {name}")
                print(
                    f"  touchline : {peer.name} = {mine[1].rate / same:.2f}, batches from names to documents",
                    flush=True,
                )
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
    preload = "from serving.worker import dependencies; dependencies.preload(); "
    for name, code in (
        ("import of the API", "import serving.api.app; print(time.time() - t)"),
        ("import of the worker", "import serving.worker.app; print(time.time() - t)"),
        ("libraries of the model, before the fork", f"{preload}print(time.time() - t)"),
        (
            "model from the registry, on first need",
            f"{preload}t = time.time(); dependencies.get_predictor().refresh_model(); print(time.time() - t)",
        ),
    ):
        command = [sys.executable, "-W", "ignore", "-c", f"import time; t = time.time(); {code}"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        print(f"{name:<44} {float(done.stdout):6.2f} s")


def publish(world: World, year: int, count: int) -> list[str]:
    """Put forecasts of a made-up season into the lake, as one week; their match_ids."""
    lake = world.lake
    real = lake.read_table("forecasts", week_of(REPLAY_AS_OF)).head(1)
    made = real.loc[real.index.repeat(count)].reset_index(drop=True)
    numbers = made.index.astype(str)
    season = f"{year}-{(year + 1) % 100:02d}"
    made["season"], made["home_team"], made["away_team"] = season, "Home " + numbers, "Away " + numbers
    made["match_id"] = f"{COMPETITION}-{season}-home-" + numbers + "-away-" + numbers
    lake.write_table("forecasts", f"{year}-01-01", made, SCHEMA)
    return list(made["match_id"])


def look_up(world: World, folder: Path, seconds: float) -> None:
    """GET /predict/{match_id} over a thousand and over a million published forecasts, and how soon a new week shows."""
    sizes = []
    for weeks, each in ((1, 1_000), (40, 25_000)):
        match_ids = [one for week in range(weeks) for one in publish(world, 1900 + week, each)]
        # Look-ups need no broker.
        service = Service(world, "redis://127.0.0.1:1/0", "redis://127.0.0.1:1/0", folder, AS_IT_COMES)
        service.start_api()

        def shown(match_id: str, url: str = service.url) -> bool:
            return httpx.get(f"{url}/predict/{match_id}").status_code == 200

        try:
            wait_until(partial(shown, match_ids[-1]), 120)
            time.sleep(6)
            roots = [service.processes["api"].pid]
            spread = [f"{service.url}/predict/{one}" for one in match_ids[:: max(len(match_ids) // 997, 1)]]
            name = f"GET of {weeks * each:,} published"
            outcome = asyncio.run(measure(f"{name}, 100/s", roots, opened(spread, [None], 100, seconds)))
            TARGETS.see(f"{name}, p99 in ms", outcome.milliseconds(99))
            sizes.append(memory(roots))
            began = time.monotonic()
            wait_until(partial(shown, publish(world, 2100 + weeks, 10)[-1]), 60)
            TARGETS.see("a new week shows after, s", time.monotonic() - began)
            asyncio.run(while_publishing(world, spread, roots, name, seconds))
        finally:
            service.stop()
    TARGETS.see("memory that a million published forecasts add, MB", sizes[1] - sizes[0])
    print(f"  memory of the API: {sizes[0]:.0f} MB, then {sizes[1]:.0f} MB")


async def while_publishing(world: World, spread: list[str], roots: list[int], name: str, seconds: float) -> None:
    """The same look-ups while a week of 380 forecasts is published every second."""

    async def publishing() -> None:
        for number in range(int(seconds)):
            await asyncio.to_thread(publish, world, 2150 + number % 10, 380)
            await asyncio.sleep(1)

    busy = asyncio.create_task(publishing())
    await measure(f"{name}, a week a second more", roots, opened(spread, [None], 100, seconds))
    await busy


def main() -> int:
    """Set the stage, measure, clear up, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rates", type=int, nargs="*", default=[100, 400])
    parser.add_argument("--peers", nargs="*", default=["mlflow", "mlserver", "bentoml"])
    parser.add_argument("--no-look-up", action="store_true", help="leave out the million published forecasts")
    parser.add_argument("--folder", type=Path, default=None, help="where the brokers keep their data")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # for all servers alike: `make up` and the images have it so
    with tempfile.TemporaryDirectory(dir=options.folder, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        made = build(folder)
        registry, world = peers.registry_server(made, folder)
        rabbit, store = Rabbit(folder / "rabbit"), Store(folder / "store", fsync="everysec")
        service = Service(world, rabbit.url, f"{store.url}/0", folder, AS_IT_COMES)
        try:
            imports(world)
            rabbit.start(180)
            store.start()
            started = time.monotonic()
            service.start_api()
            service.start_worker()
            service.wait_ready()
            print(f"API and worker ready, model loaded, after {time.monotonic() - started:14.2f} s")
            time.sleep(5)
            for part, process in service.processes.items():
                print(f"memory at rest, {part:<28} {memory([process.pid]):6.0f} MB")
            roots = [process.pid for process in service.processes.values()]
            TARGETS.see("memory at rest of API and worker, MB", memory(roots))
            print(f"memory at rest, together {memory(roots):25.0f} MB")
            asyncio.run(ours(service.url, roots, options))
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
    return 0 if TARGETS.judge() else 1


if __name__ == "__main__":
    sys.exit(main())

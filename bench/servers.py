"""Measure push and pull against a bare HTTP client on real servers: `make bench-servers` (slow, on an idle machine).

A bare client sends the same bundles over as many connections to the same server in the same run, and reads the same
resources back by paging into files; it looks nothing up, proves nothing, makes no tables and keeps no journal. Both
take turns, each time with resources of their own. The data are synthetic.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from threading import local

import requests

from bench.__main__ import peak, write_study
from fhir_ivig.fhir.bundle import Put, batch, head
from fhir_ivig.fhir.files import read_blocks
from fhir_ivig.study.study import Study
from fhir_ivig.sync.export import export
from fhir_ivig.sync.pull_study import pull_study
from fhir_ivig.sync.push import open_target
from fhir_ivig.sync.push_study import PushedStudy, push_study
from fhir_ivig.sync.server import Server
from fhir_ivig.sync.tabulate import Tabulated

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from servers.processes import hapi, sekmet

SUBJECTS = 100
TYPES = ("Patient", "Condition", "Observation")
PAGE = 1000  # resources, as pull asks these servers for
ROWS = 20_000  # each time: three times by us, three times by the bare client
FEW, MANY = 20_000, 100_000  # for the memory
SERVERS: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "sekmet": sekmet,
    "hapi": lambda: hapi("R4", heap="6g"),
}


Figure = tuple[float, str, bool]  # the value, its target in words, whether it is met


def main() -> int:
    """Print each figure; exit code 1 if a target is missed. Arguments: some of sekmet, hapi, memory; all if none."""
    missed = False
    for name in sys.argv[1:] or [*SERVERS, "memory"]:
        with SERVERS.get(name, sekmet)() as server, tempfile.TemporaryDirectory() as folder:
            figures = memory(Path(folder), server) if name == "memory" else measure(Path(folder), server)
        for figure, (value, target, right) in figures.items():
            missed = missed or not right
            print(f"{name}: {figure:40s} {value:8.2f} x   {target} {'' if right else 'MISSED'}", flush=True)
    return int(missed)


def study(folder: Path, name: str, rows: int = ROWS) -> Study:
    """A study under a base of its own."""
    write_study(folder / name, rows, SUBJECTS)
    text = (folder / name / "study.yaml").read_text()
    (folder / name / "study.yaml").write_text(text.replace("studies/bench", f"studies/{name}"))
    return Study.load(folder / name / "study.yaml")


def measure(folder: Path, server: str) -> dict[str, Figure]:
    """Push and pull by turns, three of each; the bare client as push treats this server."""
    store = open_target(server)
    assert isinstance(store, Server)
    bare, ours, reading, again, bare_reading = 0.0, 0.0, 0.0, 0.0, 0.0
    for number, who in enumerate(("bare", "ours", "ours", "bare", "bare", "ours")):
        one = study(folder, f"{who}{number}")
        if who == "bare":
            files = folder / f"fhir{number}"
            export(one, files)
            bundles = list(make_bundles(files, store))
            bare += timed(lambda bundles=bundles: send(server, bundles, store.connections))
            use = store.client.transport.pace.limit
            kept = folder / f"read{number}"
            bare_reading += timed(lambda files=files, kept=kept, use=use: read(server, files, kept, use))
        else:
            ours += timed(lambda one=one: whole(push_study(one, server)))
            again += timed(lambda one=one: whole(push_study(one, server)))
            reading += timed(lambda one=one: whole(pull_study(one, server, folder / f"out-{one.base[-1]}")))
    return {
        "first push / bare client": at_least(bare / ours, 0.9),
        "pull / bare client": at_least(bare_reading / reading, 0.9),
        "first push / push of no change": at_least(ours / again, 5.0),
    }


def at_least(value: float, target: float) -> Figure:
    return value, f"at least {target}", value >= target


def memory(folder: Path, server: str) -> dict[str, Figure]:
    """The greatest memory of the push and pull commands with few rows and with many."""
    peaks: dict[str, list[int]] = {"push": [], "pull": []}
    for rows in (FEW, MANY):
        path = study(folder, f"memory{rows}", rows).path
        peaks["push"].append(peak("push", str(path), "--to", server))
        peaks["pull"].append(peak("pull", str(path), "--from", server, "--out", str(folder / f"out{rows}")))
    return {
        f"memory of {command}, {MANY:,} / {FEW:,} rows": (many / few, "at most 1.25", many / few <= 1.25)
        for command, (few, many) in peaks.items()
    }


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def whole(result: PushedStudy | Tabulated) -> None:
    if not result.complete:
        raise SystemExit("not complete")


def make_bundles(files: Path, store: Server) -> Iterator[tuple[str, bytes]]:
    """The bundles that push sends, in the order of their references: (type, bundle)."""
    for kind in ("ResearchStudy", *TYPES):
        lines = [line for block in read_blocks(sorted(files.glob(f"{kind}.ndjson"))) for line in block.lines]
        for start in range(0, len(lines), store.entries):
            puts = [Put(head(line).ref, line) for line in lines[start : start + store.entries]]
            yield kind, batch(puts, store.kind)


def send(server: str, bundles: list[tuple[str, bytes]], connections: int) -> None:
    """Each type's bundles over so many connections."""
    own = local()

    def post(bundle: bytes) -> None:
        own.session = getattr(own, "session", None) or requests.Session()
        answer = own.session.post(server, data=bundle, headers={"Content-Type": "application/fhir+json"})
        if not all(entry["response"]["status"][:2] == "20" for entry in answer.json()["entry"]):
            raise SystemExit("the server refused something")

    with ThreadPoolExecutor(connections) as pool:
        for kind in dict.fromkeys(kind for kind, _ in bundles):
            list(pool.map(post, [bundle for each, bundle in bundles if each == kind]))


def read(server: str, files: Path, out: Path, connections: int) -> None:
    """The resources, page after page, into a file for each search: Observations of so many Patients at a time as fill
    about a page."""
    own = local()
    lines = {
        kind: [line for block in read_blocks([files / f"{kind}.ndjson"]) for line in block.lines] for kind in TYPES
    }
    patients = [head(line).ref for line in lines["Patient"]]
    size = max(1, PAGE * SUBJECTS // ROWS)
    groups = [patients[start : start + size] for start in range(0, len(patients), size)]
    out.mkdir()

    def pages(kind: str, form: dict[str, str], name: str) -> int:
        own.session = getattr(own, "session", None) or requests.Session()
        page, found = own.session.post(f"{server}/{kind}/_search", data={**form, "_count": str(PAGE)}).json(), 0
        with (out / name).open("w") as file:
            while True:
                file.writelines(json.dumps(entry["resource"]) + "\n" for entry in page.get("entry", []))
                found += len(page.get("entry", []))
                following = [link["url"] for link in page["link"] if link["relation"] == "next"]
                if not following:
                    return found
                page = own.session.get(following[0]).json()

    asked = [
        ("Patient", {"_id": ",".join(ref.partition("/")[2] for ref in patients)}, "Patient"),
        ("Condition", {"subject": ",".join(patients)}, "Condition"),
    ]
    asked += [("Observation", {"subject": ",".join(group)}, f"Observation{n}") for n, group in enumerate(groups)]
    with ThreadPoolExecutor(connections) as pool:
        found = sum(pool.map(lambda each: pages(*each), asked))
    if found != (expected := sum(len(lines[kind]) for kind in TYPES)):
        raise SystemExit(f"{found} of {expected}")


if __name__ == "__main__":
    sys.exit(main())

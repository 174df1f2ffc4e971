"""A push in a process of its own, which kills itself at a chosen moment, or waits there for another."""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Callable
from typing import Any

from urllib3.connection import HTTPConnection

from fhir_ivig.fhir.client import Client
from fhir_ivig.study.study import Study
from fhir_ivig.sync.journal import Journal
from fhir_ivig.sync.push_study import PushedStudy, push_study

BATCH = 4  # resources, so that even a small study has many moments


def forked(do: Callable[[], object]) -> int:
    """A process of its own that does it, and ends with 0, or 1 if it raises."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        do()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def ended(process: int) -> int:
    """How a process ended: its exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def counting(moment: int, then: Callable[[], object]) -> Callable[[], None]:
    """What is to be called at each moment, by any thread: at the n-th it does something."""
    left, lock = moment, threading.Lock()

    def pass_moment() -> None:
        nonlocal left
        with lock:
            left -= 1
            if left == 0:
                then()

    return pass_moment


def push_at(moment: int, then: Callable[[], object], study: Study, url: str, **options: Any) -> PushedStudy:
    """A push in small batches that does something at its n-th moment; only for a process of its own, which it leaves
    altered.

    The moments of each batch: before and after the intent is noted; before the batch is sent, when it is sent and no
    answer read, when it is answered; before and after the outcome is noted. As
    many batches are under way at once as the server's preset says. A server.yaml of the study that says a strategy
    keeps it.
    """
    pass_moment, sending = counting(moment, then), threading.local()
    write, transact, answer = Journal.write, Client.transact, HTTPConnection.getresponse

    def noted(journal: Journal, entries: Any) -> None:
        if entries:
            pass_moment()
            write(journal, entries)
            pass_moment()

    def sent(client: Client, *given: Any, **more: Any) -> Any:
        pass_moment()
        sending.now = True
        answers = transact(client, *given, **more)
        sending.now = False
        pass_moment()
        return answers

    def answered(connection: HTTPConnection) -> Any:
        if getattr(sending, "now", False):
            pass_moment()
        return answer(connection)

    Journal.write, Client.transact, HTTPConnection.getresponse = noted, sent, answered  # type: ignore[method-assign]
    server = study.folder / "server.yaml"
    said = server.read_text("utf-8") if server.exists() else f"base: {url}\n"
    if "limits:" not in said:
        server.write_text(f"{said}limits: {{batch_entries: {BATCH}}}\n", "utf-8")
    return push_study(study, str(server), **options)


def killed(moment: int, study: Study, url: str, **options: Any) -> bool:
    """Whether a push was killed at its n-th moment; False if it ended before, by itself and whole."""

    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def push() -> None:
        assert push_at(moment, kill, study, url, **options).complete

    code = ended(forked(push))
    assert code in (0, -signal.SIGKILL), f"the push at {moment} ended with {code}"
    return code != 0

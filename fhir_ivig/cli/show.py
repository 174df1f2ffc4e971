"""What every command shows: Issues and counts on stderr, data on stdout, an exit code."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from fhir_ivig.issue import Issue, IssueError, many, ranked, to_outcome

if TYPE_CHECKING:
    from fhir_ivig.sync.issues import IssueLog

NEED_PANDAS = {"statsmodels", "pyreadstat"}
DONE, PARTIAL, NOTHING = 0, 1, 3
SHOWN = 20  # Issues on the screen; all of them are in the output's issues.ndjson

_F = TypeVar("_F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
version_option = click.option(
    "--fhir-version",
    type=click.Choice(["R4", "R4B", "R5"]),
    help="FHIR version; the study's own if not given.",
)

deidentify_option = click.option(
    "--deidentify",
    "key",
    metavar="KEYFILE",
    type=click.Path(path_type=Path),
    help="Write nothing that tells who the subjects are; see the command deidentify.",
)


def study_argument(command: _F) -> _F:
    """A study: its study.yaml, or the folder that holds it."""
    return click.argument("study", type=click.Path(path_type=Path))(command)


@contextmanager
def command(as_json: bool = False) -> Iterator[None]:
    """Turns what stops a command into Issues and exit code 3; nothing gets through as a traceback.

    With `as_json` the Issues are on stdout too, as an OperationOutcome.
    """
    sys.meta_path.insert(0, _WithoutPandas)
    if current_thread() is main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what is temporary is taken away
    try:
        yield
    except IssueError as error:
        _stop(error.issues, as_json)
    except KeyboardInterrupt:
        _stop([Issue("fatal", "incomplete", "Interrupted: give the same command again.")], as_json)
    except BrokenPipeError:
        raise  # whoever reads our stdout has seen enough: click ends quietly
    except OSError as error:
        _stop([Issue("fatal", "no-store", f"{error.strerror or type(error).__name__}.", error.filename)], as_json)
    except (click.ClickException, click.exceptions.Exit):
        raise
    except Exception as error:
        _stop([_fault(error)], as_json)
    finally:
        sys.meta_path.remove(_WithoutPandas)


def _stop(issues: Sequence[Issue], as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps(to_outcome(issues), ensure_ascii=False))
    show_issues(issues)
    sys.exit(NOTHING)


def _fault(error: Exception) -> Issue:
    """A fault of ours, by its kind and place: its message and traceback may hold patients' data."""
    place = error.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    where = f" at {Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place else ""
    text = f"This is a fault of fhir-ivig, not of your files ({type(error).__name__}{where}): please report it."
    return Issue("fatal", "exception", text)


class _WithoutPandas:
    """Keeps pyarrow from importing pandas, which it does to look at values and which takes longer than a small study.

    No command uses pandas but for what needs it (NEED_PANDAS); a program that has imported it already keeps it.
    """

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name == "pandas" and NEED_PANDAS.isdisjoint(sys.modules):
            raise ModuleNotFoundError("the command line does without pandas", name=name)


def show_issues(issues: Sequence[Issue], total: int | None = None) -> None:
    """The worst Issues first, on stderr."""
    for issue in ranked(issues)[:SHOWN]:
        colour = {"fatal": "red", "error": "red", "warning": "yellow"}.get(issue.severity)
        click.secho(str(issue), fg=colour, err=True)
    hidden = (total if total is not None else len(issues)) - min(len(issues), SHOWN)
    if hidden > 0:
        click.echo(f"... and {hidden} more", err=True)


def show_log(log: IssueLog) -> None:
    """The worst of the Issues that a log kept, and how many there are besides."""
    show_issues(log.first, sum(log.counts.values()))


def finish(complete: bool, said: str, result: dict[str, Any], as_json: bool) -> NoReturn:
    """Print the result and leave with the exit code that fits."""
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False, indent=2))
    else:
        click.echo(said, err=True)
    sys.exit(DONE if complete else PARTIAL)


def counted(counts: Iterable[tuple[str, int]]) -> str:
    """`335 assessments, 12 subjects`, without what there is none of."""
    return ", ".join(many(count, _one(name), name) for name, count in counts if count) or "nothing"


def _one(table: str) -> str:
    """What a row of a table is: `subjects` are made of a subject, `studies` of a study."""
    return re.sub("ies$", "y", table).removesuffix("s")


class Progress:
    """One line on stderr that follows the work, where stderr is a terminal."""

    def __init__(self) -> None:
        self.on = sys.stderr.isatty()

    def __call__(self, name: str, *counts: int) -> None:
        if self.on:
            shown = " of ".join(f"{count:,}" for count in counts)
            sys.stderr.write(f"\r\x1b[K{name}: {shown}")
            sys.stderr.flush()

    def end(self) -> None:
        """Take the line away."""
        if self.on:
            sys.stderr.write("\r\x1b[K")

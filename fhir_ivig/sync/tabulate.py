"""FHIR resources as the study's tables, each row with the resources behind it in `resources/<table>.csv`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.mapping.collection import Bound
from fhir_ivig.mapping.references import References, Told
from fhir_ivig.study.study import Study
from fhir_ivig.sync.export import Progress, bind
from fhir_ivig.sync.gathering import Gathering
from fhir_ivig.sync.issues import IssueLog
from fhir_ivig.sync.whole import whole_folder, write_manifest

if TYPE_CHECKING:
    from fhir_ivig.fhir.lines import Block
    from fhir_ivig.mapping.reading import Read

BLOCK_BYTES = 1 << 22
Form = Literal["csv", "parquet"]
Convert = Callable[[Path], Iterable[Issue]]


@dataclass(slots=True)
class Tabulated:
    """What became of the resources read: `rows` by table; `withheld` by mapping; `unclaimed` by no mapping.

    `resources` read = `gave` a row (several may give one) + withheld + unclaimed + `broken` lines, entries and files
    cut off. `out` is the folder written, where that is not the one asked for.
    """

    resources: int = 0
    gave: Counter[str] = field(default_factory=Counter)
    withheld: Counter[str] = field(default_factory=Counter)
    unclaimed: int = 0
    broken: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    log: IssueLog = field(default_factory=IssueLog)
    out: Path | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing that should have given a row was withheld."""
        return not self.log.failed

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "complete": self.complete,
            "resources": self.resources,
            "rows": self.rows,
            "withheld": +self.withheld,
            "unclaimed": self.unclaimed,
            "broken": self.broken,
            "issues": self.log.counts,
        }


def tabulate(
    paths: Iterable[Path | str],
    study: Study,
    out: Path,
    *,
    version: str | None = None,
    form: Form = "csv",
    sort: bool = False,
    convert: Convert | None = None,
    progress: Progress | None = None,
) -> Tabulated:
    """Read FHIR files and folders (see `fhir.files.read_blocks`) into the study's tables, in the folder `out`.

    Resources that no mapping claims, or in which something is wrong, give no row and an Issue (all in
    `issues.ndjson`). Rows are in the order of the resources; with `sort` by key, visits and measures as in study.yaml
    (then each table is held in memory). Assessments without a visit get it from their day, where one window holds it.
    `convert` is given the folder with the finished tables, to make what it will of them, and gives Issues.
    IssueError if there is not one resource; then `out` is as it was.
    """
    read, bound = [Path(path) for path in paths], bind(study, version)
    with whole_folder(out, [*read, study.path]) as part:
        found = tabulate_into(part, read, study, bound, form=form, sort=sort, convert=convert, progress=progress)
        if not found.resources:
            raise IssueError(*found.log.first)
    return found


def tabulate_into(
    folder: Path,
    paths: Iterable[Path | str],
    study: Study,
    bound: Bound,
    *,
    form: Form = "csv",
    sort: bool = False,
    issues: Iterable[Issue] = (),
    told: Iterable[Told] = (),
    base: str | None = None,
    convert: Convert | None = None,
    progress: Progress | None = None,
) -> Tabulated:
    """As `tabulate`, into a folder that is there; `issues` of what was done before are part of the result.

    `told` is what is known beforehand of whom references mean (see `sync.links`); `base` is the address of the server
    that the resources come from.
    """
    tabulated = Tabulated()
    with ExitStack() as stack:
        tabulated.log = IssueLog(folder / "issues.ndjson")
        stack.callback(tabulated.log.close)
        tabulated.log.add(issues)
        gathering = Gathering(study, bound.mappings, folder, form, sort)
        references = References(base)
        for each in told:
            references.learn(each)
        run = _Run(bound, gathering, tabulated, references, progress)
        run.all(paths)
        found = gathering.finish()
        if convert and tabulated.resources:
            found = [issue.at(file=Path(issue.file or "").stem) for issue in found]  # no such file is left
            found += convert(folder)
        tabulated.log.add(found)
        tabulated.rows = gathering.rows
        about = {"study": study.study, "fhirVersion": bound.mappings.version}
        write_manifest(folder, {**about, **tabulated.as_dict()})
    return tabulated


class _Run:
    """One pass over the files, and one more over the resources whose references were not known yet."""

    def __init__(
        self,
        bound: Bound,
        gathering: Gathering,
        tabulated: Tabulated,
        references: References,
        progress: Progress | None,
    ) -> None:
        self.bound, self.gathering, self.tabulated, self.progress = bound, gathering, tabulated, progress
        self.references = references
        self.retry: dict[str, list[tuple[bytes, int]]] = {}

    def all(self, paths: Iterable[Path | str]) -> None:
        from fhir_ivig.fhir.files import read_blocks
        from fhir_ivig.fhir.lines import Block

        for block in read_blocks(paths, BLOCK_BYTES):
            self.take(block, final=False)
        for file, lines in self.retry.items():
            data = b"".join(line for line, _ in lines)
            self.take(Block(file, data, [number for _, number in lines]), final=True)

    def take(self, block: Block, final: bool) -> None:
        tabulated = self.tabulated
        tabulated.log.add(block.issues)
        lost = sum(issue.severity == "error" and issue.row is not None for issue in block.issues)
        tabulated.broken += lost
        tabulated.resources += lost
        if not block.data:
            return
        found = self.bound.read(block.data, block.numbers, block.file, self.references, final, block.ends)
        tabulated.log.add(found.issues)
        if not final:
            tabulated.resources += found.count
        tabulated.unclaimed += found.unclaimed
        tabulated.broken += found.broken
        if found.retry:
            self.retry.setdefault(block.file, []).extend(found.retry)
        for read in found.reads:
            self.one(read)
        if self.progress:
            self.progress(Path(block.file).name, tabulated.resources)

    def one(self, read: Read) -> None:
        self.tabulated.log.add(read.issues)
        self.tabulated.withheld[read.mapping] += read.withheld
        self.tabulated.gave[read.mapping] += read.batch.num_rows
        self.gathering.add(read)

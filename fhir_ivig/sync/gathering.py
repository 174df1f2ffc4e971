"""Rows read from resources, gathered into tables.

A table's rows come from one mapping each (an assessment from the mapping of its measure) and are written as they
come; or several mappings share them (a subject from Patient and Condition) and they are joined by key at the end.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from fhir_ivig.issue import Issue
from fhir_ivig.mapping.collection import Mappings
from fhir_ivig.mapping.identity import join_key
from fhir_ivig.study.courses import assign_courses, course_days
from fhir_ivig.sync.doubles import Numbers
from fhir_ivig.sync.joining import join_rows, resolve_doubles, sorted_places

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from fhir_ivig.mapping.reading import Read
    from fhir_ivig.study.study import Study

RESOURCE = "resource"  # the column of `resources/<table>.csv`
ROWS = 1 << 14  # of a sorted table that are put together at once
BY_DAY = {"assessments": "visit", "infusions": "course"}  # what other systems do not know, and the day tells


class Gathering:
    """The tables on their way to a folder. `rows` counts what each has in the end."""

    def __init__(self, study: Study, mappings: Mappings, folder: Path, form: str, sort: bool) -> None:
        self.study, self.mappings, self.folder, self.form, self.sort = study, mappings, folder, form, sort
        self.rows: Counter[str] = Counter()
        self.kept: dict[str, list[pa.RecordBatch]] = {}
        self.written: dict[str, _Table] = {}
        self.keys: dict[str, Numbers] = {}
        self.names: dict[str, Numbers] = {}  # of the resources, where others wrote them
        self.issues: list[Issue] = []
        self.courses: list[pa.Table] = []
        self.local: list[pa.RecordBatch] | None = None  # courses of the study's own table, once they are looked for
        (folder / "resources").mkdir(mode=0o700)

    def add(self, read: Read) -> None:
        """Take the rows of one mapping in one block."""
        import pyarrow as pa

        if not read.batch.num_rows:
            return
        table = self.mappings.by_name[read.mapping].table
        columns = list(self.study.dictionary[table].columns)
        cells = [
            read.batch.column(name) if name in read.batch.schema.names else pa.nulls(read.batch.num_rows, pa.string())
            for name in columns
        ]
        batch = pa.RecordBatch.from_arrays([*cells, read.resources], [*columns, RESOURCE])
        if not read.echoed:
            self.names.setdefault(table, Numbers()).add([_hashes(read.resources)])
        if table == "assessments" and self.study.visits:
            self.unknown_visits(batch)
        if self.sort or self.shared(table):
            self.kept.setdefault(table, []).append(batch)
            return
        whole, by_day = batch, BY_DAY.get(table)
        if by_day and batch.column(by_day).null_count:
            import pyarrow.compute as pc

            lacking = batch.column(by_day).is_null()
            self.kept.setdefault(table, []).append(batch.filter(lacking))
            whole = batch.filter(pc.invert(lacking))
        self.write(table, whole)

    def unknown_visits(self, batch: pa.RecordBatch) -> None:
        """An error for each row whose visit study.yaml does not know; the row stays, as it was received."""
        import pyarrow as pa
        import pyarrow.compute as pc

        visits = batch.column("visit")
        known = pc.is_in(visits, value_set=pa.array([*self.study.visits, None], pa.string()))
        if pc.all(known).as_py():
            return
        strange = batch.filter(pc.invert(known))
        for visit, resource in zip(*(strange.column(name).to_pylist() for name in ("visit", RESOURCE)), strict=True):
            said = f"`{visit}` is no visit of study.yaml: {resource} says so."
            self.issues.append(Issue("error", "not-found", said, f"assessments.{self.form}", column="visit"))

    def shared(self, table: str) -> bool:
        """Whether several mappings give parts of the same rows."""
        found = self.mappings.tables[table]
        return len(found) > 1 and not all(mapping.rows for mapping in found)

    def write(self, table: str, batch: pa.RecordBatch) -> None:
        cells = [batch.column(name) for name in self.study.dictionary[table].key]
        keys = join_key([column.fill_null("") if column.null_count else column for column in cells])
        self.keys.setdefault(table, Numbers()).add([_hashes(keys)])
        if table not in self.written:
            self.written[table] = _Table(self.folder, table, self.form)
        self.written[table].write(batch)
        self.rows[table] += batch.num_rows

    def finish(self) -> list[Issue]:
        """Write what was kept, look for doubled keys, and say what was found."""
        for table in sorted(self.kept, key=lambda table: table in BY_DAY):  # courses first: days count from them
            self.settle(table, self.kept.pop(table))
        for table, found in self.written.items():
            found.close()
            if self.keys[table].doubled():
                self.mend(table)
            if table in self.names and self.names[table].doubled():
                self.came_again(table)
        return self.issues

    def settle(self, table: str, batches: list[pa.RecordBatch]) -> None:
        """Rows that could not be written as they came: joined, their visits assigned, sorted."""
        import numpy as np
        import pyarrow as pa

        rows = pa.Table.from_batches(batches)
        batches.clear()
        for place, name in enumerate(rows.column_names):  # one after another, so that the rows are held once
            rows = rows.set_column(place, name, rows.column(name).combine_chunks())
        description = self.study.dictionary[table]
        if self.shared(table):
            rows, issues = join_rows(rows, description.key, f"{table}.{self.form}")
            self.issues += issues
        if table == "courses":
            self.courses = [rows]
        if table == "assessments":
            rows = self.assign_visits(rows)
        if table == "infusions" and rows.column("course").null_count:
            rows, issues = assign_courses(rows, course_days(self.known_courses()), f"{table}.{self.form}")
            self.issues += issues
        places = sorted_places(rows, description.key, self.study) if self.sort else np.arange(rows.num_rows)
        for start in range(0, rows.num_rows, ROWS):
            for batch in rows.take(places[start : start + ROWS]).to_batches():
                self.write(table, batch)

    def assign_visits(self, rows: pa.Table) -> pa.Table:
        """The visit from the day, where the resource names none."""
        import numpy as np
        import pyarrow as pa

        from fhir_ivig.study.visits import assign_visits, first_days

        if not rows.column("visit").null_count:
            return rows
        numbers = np.arange(2, rows.num_rows + 2)
        found = []
        firsts = first_days(self.known_courses())
        for batch in rows.to_batches():
            assigned, issues = assign_visits(self.study, batch, firsts, numbers[: batch.num_rows], "assessments")
            numbers = numbers[batch.num_rows :]
            self.issues += issues
            found.append(assigned)
        return pa.Table.from_batches(found)

    def known_courses(self) -> list[pa.Table | pa.RecordBatch]:
        """The courses read, and those of the study's own table for subjects of whom none was read."""
        if self.local is None:
            import pyarrow as pa
            import pyarrow.compute as pc

            from fhir_ivig.study.tables import read_table

            read = pa.array(
                [subject for rows in self.courses for subject in rows.column("subject").to_pylist()], pa.string()
            )
            self.local = [
                rows.batch.filter(pc.invert(pc.is_in(rows.batch.column("subject"), value_set=read)))
                for rows in read_table(self.study, "courses")
            ]
        return [*self.courses, *self.local]

    def mend(self, table: str) -> None:
        """Equal rows that came twice become one; rows with one key and other content are kept, with an error."""
        rows = self.written[table].read_back()
        rows, issues = resolve_doubles(rows, self.study.dictionary[table].key, f"{table}.{self.form}")
        self.issues += issues
        again = _Table(self.folder, table, self.form)
        for batch in rows.to_batches():
            again.write(batch)
        again.close()
        self.rows[table] = rows.num_rows

    def came_again(self, table: str) -> None:
        """A warning for each resource that came more than once with other content: every row of it is kept. Where its
        rows share a key too, that was said already."""
        rows = self.written[table].read_back().column(RESOURCE).to_pylist()
        counts = Counter(name for names in rows for name in (names or "").split(";") if not name.endswith("/"))
        told = " ".join(issue.text for issue in self.issues if issue.severity == "error")
        for name in sorted(name for name, count in counts.items() if name and count > 1 and name not in told):
            said = f"{name} came more than once, with other content: each is kept. Which is right?"
            self.issues.append(Issue("warning", "duplicate", said, f"{table}.{self.form}"))


def _hashes(texts: pa.StringArray) -> np.ndarray:
    import numpy as np

    return np.fromiter(map(hash, texts.to_pylist()), np.int64, len(texts))


class _Table:
    """The files of one table."""

    def __init__(self, folder: Path, table: str, form: str) -> None:
        self.cells = folder / f"{table}.{form}"
        self.resources = folder / "resources" / f"{table}.{form}"
        self.form = form
        self.writers: list[Any] = []
        self.files: list[BinaryIO] = []

    def write(self, batch: pa.RecordBatch) -> None:
        from fhir_ivig.study.writing import TableWriter

        columns = [name for name in batch.schema.names if name != RESOURCE]
        if not self.writers:
            self.files = [self.cells.open("wb"), self.resources.open("wb")]
            self.writers = [
                TableWriter(file, names, self.form)
                for file, names in zip(self.files, (columns, [RESOURCE]), strict=True)
            ]
        for writer in self.writers:
            writer.write(batch)

    def close(self) -> None:
        for writer in self.writers:
            writer.close()
        for file in self.files:
            file.close()

    def read_back(self) -> pa.Table:
        from fhir_ivig.study.writing import read_written

        cells, resources = read_written(self.cells), read_written(self.resources)
        return cells.append_column(RESOURCE, resources.column(RESOURCE))

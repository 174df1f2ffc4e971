"""A stand-in for REDCap's API on this machine, which behaves as the manual under /api/help says, for one project.

`python tests/servers/redcap.py FOLDER` serves the project in a folder (`dictionary.csv`, `project.json`,
`export.csv`) and prints its address. What is imported stays in memory.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from fhir_ivig.redcap.dictionary import COLUMNS

TOKEN = "0123456789ABCDEF0123456789ABCDEF"  # of nothing but this
PLACE = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")
GROUP = "redcap_data_access_group"


class ApiError(Exception):
    """What REDCap answers with HTTP 400."""


class RedcapServer(ThreadingHTTPServer):
    """The project; `asked` are the parameters of each request, `before` is called with each and may answer
    `(status, body)` itself. `groups` are the data access groups, by record."""

    daemon_threads = True

    def __init__(self, folder: Path, *, empty: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/api/"
        self.dictionary = list(csv.reader(io.StringIO((folder / "dictionary.csv").read_text("utf-8"))))
        self.project = json.loads((folder / "project.json").read_text("utf-8"))
        rows = list(csv.reader(io.StringIO((folder / "export.csv").read_text("utf-8"))))
        self.header = rows[0]
        self.rows = [] if empty else [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
        self.groups: dict[str, str] = {}
        self.asked: list[dict[str, Any]] = []
        self.before: Any = lambda asked: None

    @property
    def record(self) -> str:
        return self.dictionary[1][0]

    def answer(self, asked: dict[str, Any]) -> str:
        """The body of a good answer; ApiError for a bad request."""
        content = asked.get("content")
        if content == "metadata":
            return self.written([[COLUMNS[name] for name in self.dictionary[0]], *self.dictionary[1:]], asked)
        if content in self.project:
            return json.dumps(self.project[content])
        if content in ("event", "formEventMapping"):
            raise ApiError("You cannot export events for classic projects")
        if content == "record":
            return self.imported(asked) if asked.get("action") == "import" else self.exported(asked)
        raise ApiError('The value of the parameter "content" is not valid')

    def exported(self, asked: dict[str, Any]) -> str:
        """Flat and raw records: all, or those named, in any case; all fields, or those named with REDCap's own
        columns, of which those of instances come only where a row is one. 0 where a form or box is empty."""
        if unknown := set(asked.get("fields", ())) - {row[0] for row in self.dictionary[1:]}:
            raise ApiError(f'The following values in the parameter "fields" are not valid: {", ".join(unknown)}')
        fields, records = asked.get("fields"), {name.casefold() for name in asked.get("records", ())}
        rows = [self.shown(row) for row in self.rows if not records or row[self.record].casefold() in records]
        instances = any(row.get(PLACE[2]) for row in rows)
        names = [name for name in self.header if not fields or name in (*fields, *PLACE)]
        names = [name for name in names if instances or name not in PLACE[1:]]
        if asked.get("exportDataAccessGroups") == "true":
            names.insert(1 + max(n for n, name in enumerate(names) if name in (self.record, *PLACE)), GROUP)
        return self.written([names, *([row.get(name, "") for name in names] for row in rows)] if rows else [], asked)

    def shown(self, row: dict[str, str]) -> dict[str, str]:
        """A row with the group of its record, and 0 for what is not filled of the boxes and status of its forms."""
        mapped = self.project.get("formEventMapping", ())
        events = {one["form"] for one in mapped if one["unique_event_name"] == row.get(PLACE[0])}
        forms = events if mapped else {cells[1] for cells in self.dictionary[1:]}
        repeating = {one["form_name"] for one in self.project.get("repeatingFormsEvents", ())}
        forms = {form} if (form := row.get(PLACE[1])) else forms - repeating
        boxes = {cells[0]: cells[1] for cells in self.dictionary[1:] if cells[3] == "checkbox"}
        empty = {
            name: "0"
            for name in self.header
            if boxes.get(name.partition("___")[0], name.removesuffix("_complete")) in forms
        }
        return {**row, **{name: row.get(name) or "0" for name in empty}, GROUP: self.groups.get(row[self.record], "")}

    def imported(self, asked: dict[str, Any]) -> str:
        """All of the rows or, if one is wrong, none; empty cells change nothing (`normal`)."""
        rows = (
            json.loads(asked["data"])
            if asked["format"] == "json"
            else list(csv.DictReader(io.StringIO(asked["data"])))
        )
        wrong = [
            f'"{row.get(self.record)}","{name}","{cell}",{said}'
            for row in rows
            for name, cell, said in self.faults(row)
        ]
        if wrong:
            raise ApiError("\n".join(wrong))
        names = {row[self.record].casefold(): row[self.record] for row in self.rows}
        for row in rows:
            row[self.record] = names.get(row[self.record].casefold(), row[self.record])
            self.groups |= {row[self.record]: group} if (group := row.pop(GROUP, "")) else {}
            place = [row.get(name, "") for name in (self.record, *PLACE)]
            old = next(
                (one for one in self.rows if [one.get(name, "") for name in (self.record, *PLACE)] == place), None
            )
            if old is None:
                old = dict.fromkeys(self.header, "")
                self.rows.append(old)
            overwrites = asked.get("overwriteBehavior") == "overwrite"
            old |= {name: cell for name, cell in row.items() if cell or overwrites}
        self.rows.sort(key=self.order)
        names = list(dict.fromkeys(row[self.record] for row in rows))
        return json.dumps({"count": len(names)})

    def order(self, row: dict[str, str]) -> tuple[Any, ...]:
        """Records in order, their events, the forms that repeat, the instances."""
        events = [one["unique_event_name"] for one in self.project.get("event", ())]
        forms = ["", *(one["instrument_name"] for one in self.project["instrument"])]
        event, form, instance = (row.get(name, "") for name in PLACE)
        return row[self.record], events.index(event) if event else 0, forms.index(form), int(instance or 0)

    def faults(self, row: dict[str, str]) -> Iterator[tuple[str, str, str]]:
        """What REDCap refuses in a row: unknown columns, events and forms, codes, dates and numbers."""
        events = [one["unique_event_name"] for one in self.project.get("event", ())]
        kinds = {cells[0]: dict(zip(COLUMNS.values(), cells, strict=False)) for cells in self.dictionary[1:]}
        for name, cell in row.items():
            if name not in (*self.header, GROUP):
                yield name, cell, '"This field does not exist in the project"'
            if name == PLACE[0] and events and cell not in events:
                yield name, cell, '"Invalid event name"'
            field = name.partition("___")[0]
            if field not in kinds or not cell or field == self.record:
                continue
            if events and {"form": kinds[field]["form_name"], "unique_event_name": row[PLACE[0]]} not in [
                {key: one[key] for key in ("form", "unique_event_name")} for one in self.project["formEventMapping"]
            ]:
                yield name, cell, '"The field is on no instrument of this event"'
            if name not in kinds:
                continue
            asked, validation = kinds[name], kinds[name]["text_validation_type_or_show_slider_number"]
            codes = [one.split(",")[0].strip() for one in asked["select_choices_or_calculations"].split("|")]
            if asked["field_type"] in ("radio", "dropdown") and cell not in codes:
                yield name, cell, '"The value is not a valid category"'
            if validation == "number" and not cell.replace(".", "", 1).lstrip("-").isdecimal():
                yield name, cell, '"The value must be a number"'
            if validation.startswith("date") and (len(cell) < 10 or cell[4] + cell[7] != "--"):
                yield name, cell, '"The value must be a date"'

    def written(self, rows: list[list[str]], asked: dict[str, Any]) -> str:
        """A table as CSV or as JSON objects."""
        if asked["format"] == "json":
            return json.dumps([dict(zip(rows[0], row, strict=True)) for row in rows[1:]])
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(rows)
        return out.getvalue() or "\n"


class _Handler(BaseHTTPRequestHandler):
    server: RedcapServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked: dict[str, Any] = {}
        for name, value in parse_qsl(body, keep_blank_values=True):
            listed, bracket, _ = name.partition("[")
            if bracket:
                asked.setdefault(listed, []).append(value)
            else:
                asked[name] = value
        self.server.asked.append(asked)
        if said := self.server.before(asked):
            return self.say(*said)
        if asked.get("token") != TOKEN:
            return self.say(403, json.dumps({"error": "You do not have permissions to use the API"}))
        try:
            return self.say(200, self.server.answer(asked))
        except ApiError as error:
            return self.say(400, json.dumps({"error": str(error)}))

    def say(self, status: int, text: str) -> None:
        kind = "application/json" if text[:1] in "[{" else "text/html" if text[:1] == "<" else "text/csv"
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def redcap(folder: Path, *, empty: bool = False) -> Iterator[RedcapServer]:
    """The stand-in, running."""
    server = RedcapServer(folder, empty=empty)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":
    with redcap(Path(sys.argv[1])) as running:
        sys.stdout.write(f"{running.url}\n")
        sys.stdout.flush()
        threading.Event().wait()

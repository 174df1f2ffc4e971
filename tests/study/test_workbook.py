"""Workbooks as tables: cases, and files that are none or hostile."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from books import make_book
from openpyxl import Workbook
from openpyxl.xml.constants import SHEET_MAIN_NS
from trial import MakeStudy

from fhir_ivig.issue import Issue
from fhir_ivig.study.tables import read_table

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "workbooks.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case: dict[str, Any], make_study: MakeStudy, tmp_path: Path) -> None:
    make_book(tmp_path / "book.xlsx", case["sheets"], **case.get("book", {}))
    source = {"file": "book.xlsx", **case.get("source", {})}
    parts = list(read_table(make_study(tables={case["table"]: source}), case["table"]))
    rows = ["|".join(cell or "" for cell in row.values()) for part in parts for row in part.batch.to_pylist()]
    assert rows == case.get("rows", [])
    issues = [issue for part in parts for issue in part.issues]
    wanted = case.get("issues", [])
    assert len(issues) == len(wanted), issues
    for issue, each in zip(issues, wanted, strict=True):
        assert issue.file == (f"[book.xlsx]{source['sheet']}" if "sheet" in source else "book.xlsx")
        place = (each.get("severity", "error"), each["code"], each.get("row"), each.get("column"))
        assert (issue.severity, issue.code, issue.row, issue.column) == place, issue
        assert each["has"] in issue.text
    if "numbers" in case:
        assert [number for part in parts for number in part.numbers.tolist()] == case["numbers"]


def issue_of(make_study: MakeStudy, file: str) -> Issue:
    [rows] = read_table(make_study(tables={"subjects": {"file": file}}), "subjects")
    [issue] = rows.issues
    assert (issue.severity, issue.file) == ("fatal", file)
    return issue


def _password(path: Path) -> None:
    path.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(512))


def _no_zip(path: Path) -> None:
    path.write_bytes(b"subject\nS01\n")


def _other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("a.txt", "a")


def _bomb(path: Path) -> None:
    make_book(path, {"who": [["subject"]]})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/media/a.bin", bytes(1 << 26))


def _entities(path: Path) -> None:
    make_book(path, {"who": [["subject"], ["S01"]]})
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"].removeprefix(b"<?xml version='1.0' encoding='UTF-8'?>")
    entity = b'<!DOCTYPE w [<!ENTITY a "b">]>'
    parts["xl/worksheets/sheet1.xml"] = entity + sheet
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in parts.items():
            packed.writestr(name, content)


def _strict(path: Path) -> None:
    """As Excel saves a Strict Open XML workbook: other namespaces (ECMA-376 part 1, annex A)."""
    make_book(path, {"who": [["subject"], ["S01"]]})
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in parts.items():
            for kind in (b"officeDocument", b"spreadsheetml"):
                old = rb"http://schemas\.openxmlformats\.org/" + kind + rb"/2006/(main|relationships)"
                content = re.sub(old, rb"http://purl.oclc.org/ooxml/" + kind + rb"/\1", content)
            packed.writestr(name, content)


def _cut(path: Path) -> None:
    make_book(path, {"who": [["subject"], ["S01"]]})
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize(
    ("make", "code", "says"),
    [
        (_password, "not-supported", "has a password"),
        (_no_zip, "structure", "no workbook"),
        (_other_zip, "structure", "damaged"),
        (_bomb, "security", "packed suspiciously tightly"),
        (_entities, "structure", "damaged"),
        (_cut, "structure", "damaged"),
        (_strict, "not-supported", "not as Strict Open XML"),
    ],
)
def test_what_is_no_workbook(
    make: Callable[[Path], None], code: str, says: str, make_study: MakeStudy, tmp_path: Path
) -> None:
    make(tmp_path / "book.xlsx")
    issue = issue_of(make_study, "book.xlsx")
    assert (issue.code, says in issue.text) == (code, True), issue


def test_too_large(make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_book(tmp_path / "book.xlsx", {"who": [["subject"], ["S01"]]})
    monkeypatch.setattr("fhir_ivig.study.workbook.LARGEST", 1000)
    assert "more than" in issue_of(make_study, "book.xlsx").text


def test_other_kinds(make_study: MakeStudy, tmp_path: Path) -> None:
    (tmp_path / "book.xlsb").write_bytes(b"PK")
    assert "save it as .xlsx" in issue_of(make_study, "book.xlsb").text


def test_macros_are_not_run(make_study: MakeStudy, tmp_path: Path) -> None:
    make_book(tmp_path / "book.xlsm", {"who": [["subject"], ["S01"]]})
    with zipfile.ZipFile(tmp_path / "book.xlsm", "a") as packed:
        packed.writestr("xl/vbaProject.bin", b"\0" * 100)
    [rows] = read_table(make_study(tables={"subjects": {"file": "book.xlsm"}}), "subjects")
    assert rows.batch["subject"].to_pylist() == ["S01"]


def test_texts_as_excel_saves_them(make_study: MakeStudy, tmp_path: Path) -> None:
    """Beside the sheets, each once; in pieces of several looks, with readings beside them, and escaped."""
    texts = ["subject", "mrn", "site", "S01", "_x005F_x0041_", ["Tokyo ", "East"]]
    path = tmp_path / "book.xlsx"
    make_book(path, {"who": [["subject", "mrn", "site"], ["S01", "a", "b"]]})
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name).decode() for name in packed.namelist()}
    sheet, number = "xl/worksheets/sheet1.xml", iter(range(6))
    inline = re.compile(r't="inlineStr"><is><t>[^<]*</t></is>')
    parts[sheet] = inline.sub(lambda _: f't="s"><v>{next(number)}</v>', parts[sheet])
    items = "".join(
        f"<si><t>{text}</t></si>"
        if isinstance(text, str)
        else "<si>"
        + "".join(f"<r><rPr/><t>{piece}</t></r>" for piece in text)
        + '<rPh sb="0" eb="1"><t>to</t></rPh></si>'
        for text in texts
    )
    main = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts["xl/sharedStrings.xml"] = f'<sst xmlns="{SHEET_MAIN_NS}">{items}</sst>'
    listed = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{main}.sharedStrings+xml"/></Types>'
    parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace("</Types>", listed)
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in parts.items():
            packed.writestr(name, content)
    [rows] = read_table(make_study(tables={"subjects": {"file": "book.xlsx"}}), "subjects")
    assert not rows.issues
    assert rows.batch.select(["subject", "mrn", "site"]).to_pylist() == [
        {"subject": "S01", "mrn": "_x0041_", "site": "Tokyo East"}
    ]


def test_charts_are_no_sheets_of_cells(make_study: MakeStudy, tmp_path: Path) -> None:
    book = Workbook()
    for row in (["subject"], ["S01"]):
        book.active.append(row)
    book.create_chartsheet("picture")
    book.save(tmp_path / "book.xlsx")
    [rows] = read_table(make_study(tables={"subjects": {"file": "book.xlsx"}}), "subjects")
    assert (rows.issues, rows.batch["subject"].to_pylist()) == ([], ["S01"])


def test_without_the_extra(make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_book(tmp_path / "book.xlsx", {"who": [["subject"], ["S01"]]})
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    assert 'pip install "fhir-ivig[excel]"' in issue_of(make_study, "book.xlsx").text


def test_many_rows(make_study: MakeStudy, tmp_path: Path) -> None:
    make_book(tmp_path / "book.xlsx", {"who": [["subject"], *([f"S{row}"] for row in range(2, 20_002))]})
    numbers: list[int] = []
    for rows in read_table(make_study(tables={"subjects": {"file": "book.xlsx"}}), "subjects", 3000):
        assert [f"S{number}" for number in rows.numbers] == rows.batch["subject"].to_pylist()
        numbers += rows.numbers.tolist()
    assert numbers == list(range(2, 20_002))

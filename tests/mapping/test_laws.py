"""The laws of the mapping language, for every mapping, every FHIR version, and rows made at random.

1  write then read gives the row back, to the character
2  read then write gives back every resource that was written
3  foreign settles: what was read from anyone's resource, written and read again, is the same
4  same key, same identity; different key, different identity; a key that could be confused is refused
5  each resource is claimed by one mapping
6  the same row through R4 and R5 comes back the same
7  nothing vanishes: rows in = resources out + rows withheld, and each withheld row has an error Issue with its place
"""

from __future__ import annotations

import json
import random
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import assert_same, everywhere, laws, read, write
from strategies import BASE, NAMES, VERSIONS, batch, batches, bound, is_key, mappings

from fhir_ivig.mapping import writing
from fhir_ivig.mapping.collection import References
from fhir_ivig.mapping.strictjson import strict_json


@everywhere
def test_rows_and_resources_go_round(version: str, name: str) -> None:
    """Laws 1 and 2, and of 7 that no right row is withheld; however the rows are cut into batches."""
    study, mapping = bound(version), mappings(version).by_name[name]

    @laws
    @given(batches(mapping), st.integers(9, 110))
    def law(rows: pa.RecordBatch, cut: int) -> None:
        written = write(study, name, rows)
        assert written.issues == [], written.issues[0]
        assert written.count + written.without == rows.num_rows
        if not written.count:
            return
        lines = written.json_lines()
        back, issues = read(study, lines)
        assert issues == [], issues[0]
        kept = rows.take(pa.array(np.concatenate(written.rows) - 2))
        assert_same(back.batch, kept)
        ids = pa.chunked_array(written.ids).to_pylist()
        assert back.resources.to_pylist() == [f"{mapping.resource_type}/{each}" for each in ids]
        again = write(study, name, back.batch)
        assert again.json_lines() == lines
        assert pa.chunked_array(again.ids).to_pylist() == ids
        parts = [write(study, name, rows.slice(start, cut)) for start in range(0, rows.num_rows, cut)]
        assert [line for part in parts for line in part.json_lines()] == lines

    law()


@everywhere
def test_nothing_vanishes(version: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law 7 for rows right and wrong, in several blocks; what is written of them still goes round (law 1)."""
    monkeypatch.setattr(writing, "BLOCK_ROWS", 32)
    study, mapping = bound(version), mappings(version).by_name[name]

    @laws
    @given(batches(mapping, wrong=True))
    def law(rows: pa.RecordBatch) -> None:
        written = write(study, name, rows)
        assert written.count + written.withheld + written.without == rows.num_rows
        good = np.concatenate(written.rows) if written.rows else np.array([], int)
        errors = {
            issue.row for issue in written.issues if issue.severity == "error" and issue.column in mapping.columns
        }
        assert all(issue.file == "rows.csv" and issue.row and issue.column for issue in written.issues)
        assert not errors & set(good.tolist())
        lost = set(range(2, rows.num_rows + 2)) - errors - set(good.tolist())
        assert len(lost) == written.without
        assert not lost or mapping.optional
        carried = [each for each in mapping.columns if each not in mapping.key]
        assert all(
            cell is None for row in lost for cell in rows.select(carried).slice(row - 2, 1).to_pylist()[0].values()
        )
        if written.count:
            back, issues = read(study, written.json_lines())
            assert issues == [], issues[0]
            assert_same(back.batch, rows.take(pa.array(good - 2)))

    law()


@pytest.mark.parametrize("name", NAMES)
def test_versions_agree(name: str) -> None:
    """Law 6: what R4 carries R5 carries, and each gives it back the same."""
    r4, r5 = mappings("R4").by_name[name], mappings("R5").by_name[name]
    assert set(r4.columns) == set(r5.columns)

    @laws
    @given(batches(r4))
    def law(rows: pa.RecordBatch) -> None:
        found = []
        for version in ("R4", "R5"):
            written = write(bound(version), name, rows.select(mappings(version).by_name[name].columns))
            assert written.issues == [], written.issues[0]
            found.append(
                read(bound(version), written.json_lines())[0].batch.select(r4.columns) if written.count else None
            )
        assert found[0] == found[1]

    law()


@pytest.mark.parametrize("version", VERSIONS)
def test_each_resource_has_one_mapping(version: str) -> None:
    """Law 5: the resources of all mappings, mixed, each go back to their own."""
    study = bound(version)
    every = list(mappings(version).by_name.values())

    @settings(laws, max_examples=3)
    @given(st.tuples(*(batches(each, 1, 9, pool=4) for each in every)), st.integers(0, 2**32 - 1))
    def law(tables: tuple[pa.RecordBatch, ...], seed: int) -> None:
        written = {each.name: write(study, each.name, rows) for each, rows in zip(every, tables, strict=True)}
        lines = [line for found in written.values() for line in found.json_lines()]
        random.Random(seed).shuffle(lines)
        data = "".join(f"{line}\n" for line in lines).encode()
        block = study.read(data, range(1, len(lines) + 1), "mixed.ndjson", References(), final=True)
        assert (block.unclaimed, block.issues) == (0, [])
        assert all(found.issues == [] for found in block.reads)
        counts = {found.mapping: found.batch.num_rows for found in block.reads}
        assert counts == {each: found.count for each, found in written.items() if found.count}
        for found in block.reads:
            assert sorted(found.resources.to_pylist()) == sorted(
                f"{mappings(version).by_name[found.mapping].resource_type}/{each}"
                for chunk in written[found.mapping].ids
                for each in chunk.to_pylist()
            )

    law()


@everywhere
def test_identity(version: str, name: str) -> None:
    """Law 4: identity is the key's and nothing else's."""
    study, mapping = bound(version), mappings(version).by_name[name]

    @settings(laws, max_examples=4)
    @given(batches(mapping, 10, 30, pool=6), batches(mapping, 10, 30, wrong=True, pool=6))
    def law(rows: pa.RecordBatch, wrong: pa.RecordBatch) -> None:
        seen: dict[tuple[str, ...], str] = {}
        for written, table in ((write(study, name, each), each) for each in (rows, wrong)):
            cells = (
                table.take(pa.array(np.concatenate(written.rows) - 2)).select(list(mapping.key))
                if written.count
                else None
            )
            for line, row in zip(written.json_lines(), cells.to_pylist() if cells else [], strict=True):
                resource = strict_json(line)
                key = tuple(row.values())
                assert all(is_key(cell) for cell in key)
                value = "/".join(key)
                assert resource["id"] == str(uuid.uuid5(uuid.NAMESPACE_URL, f"{BASE}/{name}|{value}"))
                identifier = resource["identifier"]
                own = identifier[0] if isinstance(identifier, list) else identifier
                assert own == {"system": f"{BASE}/{name}", "value": value}
                assert seen.setdefault(key, resource["id"]) == resource["id"]
        assert len(set(seen.values())) == len(seen)

    law()


@everywhere
def test_confusable_keys_are_refused(version: str, name: str) -> None:
    study, mapping = bound(version), mappings(version).by_name[name]
    cells = [
        "a/b",
        "a|b",
        "a,b",
        "a$b",
        "a\\b",
        " a",
        "a ",
        "a\u3000",
        "\xa0a",
        "a\tb",
        "a\x00",
        "e\u0301",
        "a\u200b",
        "\ufeffa",
        "a\x85",
    ]
    for at in mapping.key:
        free = {each: None for each in mapping.columns if each not in mapping.rows}
        written = write(
            study, name, batch(mapping, [{**free, **dict.fromkeys(mapping.key, "1"), at: cell} for cell in cells])
        )
        told = {issue.row for issue in written.issues if issue.column == at and issue.severity == "error"}
        assert written.count == 0
        assert told == set(range(2, len(cells) + 2)) or (mapping.optional and written.without == len(cells))


@pytest.mark.parametrize("version", ["R4B", "R5"])
@pytest.mark.parametrize("name", NAMES)
def test_resources_are_fhir(version: str, name: str) -> None:
    """Whatever is written, of rows right and wrong, is a resource that the model classes take."""
    import fhir.resources
    import fhir.resources.R4B

    study, mapping = bound(version), mappings(version).by_name[name]
    package: Any = fhir.resources if version == "R5" else fhir.resources.R4B
    model = package.get_fhir_model_class(mapping.resource_type)

    @settings(laws, max_examples=4)
    @given(batches(mapping, 20, 40, wrong=True, pool=6))
    def law(rows: pa.RecordBatch) -> None:
        for line in write(study, name, rows).json_lines():
            model.model_validate(json.loads(line, parse_float=Decimal))

    law()

"""The laws of the mapping language, for every mapping, every FHIR version, and rows made at random.

1  write then read gives the row back, to the character
2  read then write gives back every resource that was written
3  foreign settles: what was read from anyone's resource, written and read again, is the same
4  same key, same identity; different key, different identity; a key that could be confused is refused
5  each resource is claimed by one mapping
6  the same row through all versions comes back the same
7  nothing vanishes: rows in = resources out + rows withheld, and each withheld row has an error Issue with its place

1 and 2: test_rows_and_resources_go_round; 3: test_foreign_settles (in test_laws_of_reading); 4: test_identity,
test_confusable_keys_are_refused; 5: test_each_resource_has_one_mapping; 6: test_versions_agree; 7:
test_nothing_vanishes.
Each meets at least `laws.ROWS` rows of each mapping in each version, or fails (see `laws.prove`).
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
from hypothesis import strategies as st
from laws import assert_same, everywhere, kept, prove, read, write
from strategies import BASE, NAMES, VERSIONS, batch, batches, bound, is_key, made, mappings, pools

from fhir_ivig.mapping import writing
from fhir_ivig.mapping.collection import References
from fhir_ivig.mapping.strictjson import strict_json


@everywhere
def test_rows_and_resources_go_round(version: str, name: str) -> None:
    """Laws 1 and 2, and of 7 that no right row is withheld; however the rows are cut into batches."""
    study, mapping = bound(version), mappings(version).by_name[name]

    def law(rows: pa.RecordBatch, cut: int) -> int:
        written = write(study, name, rows)
        assert written.issues == [], written.issues[0]
        assert written.count + written.without == rows.num_rows
        if not written.count:
            return 0
        lines = written.json_lines()
        back, issues = read(study, lines)
        assert issues == [], issues[0]
        assert_same(back.batch, kept(rows, written))
        ids = pa.chunked_array(written.ids).to_pylist()
        assert back.resources.to_pylist() == [f"{mapping.resource_type}/{each}" for each in ids]
        again = write(study, name, back.batch)
        assert again.json_lines() == lines
        assert pa.chunked_array(again.ids).to_pylist() == ids
        parts = [write(study, name, rows.slice(start, cut)) for start in range(0, rows.num_rows, cut)]
        assert [line for part in parts for line in part.json_lines()] == lines
        return len(lines)

    prove(law, batches(mapping), st.integers(9, 110), of=f"{name} {version}")


@everywhere
def test_nothing_vanishes(version: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law 7 for rows right and wrong, in several blocks; what is written of them still goes round (law 1)."""
    monkeypatch.setattr(writing, "BLOCK_ROWS", 32)
    study, mapping = bound(version), mappings(version).by_name[name]

    def law(rows: pa.RecordBatch) -> int:
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
            assert_same(back.batch, kept(rows, written))
        return rows.num_rows

    prove(law, batches(mapping, wrong=True), of=f"{name} {version}")


@pytest.mark.parametrize("name", NAMES)
def test_versions_agree(name: str) -> None:
    """Law 6: what one version carries all carry, and each gives it back the same."""
    columns = mappings("R4").by_name[name].columns
    assert all(set(mappings(version).by_name[name].columns) == set(columns) for version in VERSIONS)

    def law(rows: pa.RecordBatch) -> int:
        found = []
        for version in VERSIONS:
            written = write(bound(version), name, rows.select(mappings(version).by_name[name].columns))
            assert written.issues == [], written.issues[0]
            found.append(
                read(bound(version), written.json_lines())[0].batch.select(columns) if written.count else None
            )
        assert all(each == found[0] for each in found)
        return found[0].num_rows if found[0] else 0

    prove(law, batches(mappings("R4").by_name[name]), of=name)


@pytest.mark.parametrize("version", VERSIONS)
def test_each_resource_has_one_mapping(version: str) -> None:
    """Law 5: the resources of all mappings, mixed, each go back to their own."""
    study = bound(version)
    every = list(mappings(version).by_name.values())

    def law(cells: tuple[dict[str, list[str]], ...], seed: int) -> int:
        chance = random.Random(seed)
        tables = [made(each, 300, 310, few, chance.getrandbits(32)) for each, few in zip(every, cells, strict=True)]
        written = {each.name: write(study, each.name, rows) for each, rows in zip(every, tables, strict=True)}
        lines = [line for found in written.values() for line in found.json_lines()]
        chance.shuffle(lines)
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
        return min(found.count for found in written.values())

    cells = st.tuples(*(pools(version, each.name, 4) for each in every))
    prove(law, cells, st.integers(0, 2**32 - 1), of=version, examples=3)


@everywhere
def test_identity(version: str, name: str) -> None:
    """Law 4: identity is the key's and nothing else's."""
    study, mapping = bound(version), mappings(version).by_name[name]

    def law(rows: pa.RecordBatch, wrong: pa.RecordBatch) -> int:
        seen: dict[tuple[str, ...], str] = {}
        met = 0
        for table in (rows, wrong):
            written = write(study, name, table)
            keys = kept(table, written).select(list(mapping.key)).to_pylist()
            met += len(keys)
            for line, row in zip(written.json_lines(), keys, strict=True):
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
        return met

    prove(law, batches(mapping), batches(mapping, wrong=True), of=f"{name} {version}", examples=5)


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
    """Whatever is written, of rows right and wrong, is a resource that the model classes take; R4 writes as R4B."""
    import fhir.resources
    import fhir.resources.R4B

    study, mapping = bound(version), mappings(version).by_name[name]
    package: Any = fhir.resources if version == "R5" else fhir.resources.R4B
    model = package.get_fhir_model_class(mapping.resource_type)

    def law(*tables: pa.RecordBatch) -> int:
        lines = [line for rows in tables for line in write(study, name, rows).json_lines()]
        for line in lines:
            model.model_validate(json.loads(line, parse_float=Decimal))
        if version == "R4B":
            assert lines == [line for rows in tables for line in write(bound("R4"), name, rows).json_lines()]
        return len(lines)

    prove(law, batches(mapping), batches(mapping, wrong=True), of=f"{name} {version}", examples=5)

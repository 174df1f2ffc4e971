"""What makes a pulled folder a study again: its empty tables, study.yaml, one manifest."""

from __future__ import annotations

import os
from pathlib import Path

from fhir_ivig.study.study import Study
from fhir_ivig.sync.tabulate import Tabulated
from fhir_ivig.sync.whole import beside, read_manifest, write_manifest


def complete_folder(study: Study, out: Path, part: Path, found: Tabulated, all_received: bool) -> None:
    """The tables that are empty, study.yaml, and one manifest for all."""
    from fhir_ivig.study.writing import write_table

    for table in study.tables.keys() - found.rows.keys():
        write_table(part / f"{table}.csv", [], list(study.dictionary[table].columns))
    write_study(study, out, part, list(dict.fromkeys([*study.tables, *found.rows])))
    write_manifest(part, {**read_manifest(part / "fhir"), **read_manifest(part), "all_received": all_received})
    found.out = beside(out, part)


def write_study(study: Study, out: Path, folder: Path, tables: list[str]) -> None:
    """The study.yaml of canonical tables that will stand in `out`: the same study, its tables as they are there.

    Without its server: a cohort is passed on, and where it came from stands in its manifest.
    """
    import yaml

    from fhir_ivig.yamltext import load, plain

    text = plain(load(study.path))
    text["tables"] = {table: {} for table in tables if table != "studies"}
    text.pop("server", None)
    text["fhir_version"] = study.fhir_version
    if study.mappings:
        text["mappings"] = [os.path.relpath(mapping, out) for mapping in study.mappings]
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the former is ten times faster, and not everywhere
    written = yaml.dump(text, Dumper=dumper, sort_keys=False, allow_unicode=True)
    (folder / "study.yaml").write_text(written, "utf-8")

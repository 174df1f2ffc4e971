"""Write the FHIR files of the sample study anew from its tables: `python -m sample_bundles`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from fhir_ivig.study.study import Study
from fhir_ivig.sync.export import export

HERE = Path(__file__).parent / "hara2003"
FORMS = [(version, form) for version in ("R4", "R5") for form in ("ndjson", "bundle")]


def write_samples(target: Path) -> None:
    """The sample study as NDJSON and as Bundles, in R4 and R5: `target/R4/ndjson` and so on."""
    study = Study.load(HERE / "study.yaml")
    for version, form in FORMS:
        with TemporaryDirectory() as folder:
            exported = export(study, Path(folder) / "out", version=version, form=form)
            if not exported.complete:
                raise SystemExit("\n".join(map(str, exported.log.first)))
            out = target / version / form
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            for path in sorted((Path(folder) / "out").iterdir()):
                if path.name not in ("issues.ndjson", "manifest.json"):
                    shutil.copyfile(path, out / path.name)


if __name__ == "__main__":
    write_samples(HERE)
    sys.stdout.write(f"{HERE}: written\n")

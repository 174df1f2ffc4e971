"""Which SDTM domain a measure stands in, and under which short name.

| Measure                                                        | Domain |
|----------------------------------------------------------------|--------|
| study.yaml says `sdtm: {domain: ...}`                          | that   |
| in kg                                                          | VS     |
| in an amount or activity a volume (`U/L`, `mg/dL`), or with an | LB     |
| upper limit of normal in any row                               |        |
| any other                                                      | QS     |

The short name (--TESTCD, PARAMCD) is the `testcd` that study.yaml says, else the measure's name as SAS names it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from fhir_ivig.datasets.sas_names import sas_names
from fhir_ivig.study.study import Measure, Study

# Those of the names that this package knows to be CDISC submission values: COSMoS CKSERPL and UREANSERPL, and the
# vital signs' WEIGHT. Any other is sponsor-defined.
CDISC = {"LB": ("CK", "UREAN"), "VS": ("WEIGHT",)}
_A_VOLUME = re.compile(r".+/[dmu]?L")


@dataclass(frozen=True, slots=True)
class Test:
    """A measure as SDTM and ADaM name it: its domain, its --TESTCD, its --TEST, its PARAM."""

    domain: str
    testcd: str
    label: str
    parameter: str


def tests(study: Study, limited: Collection[str]) -> dict[str, Test]:
    """The tests of the study's measures, by measure; `limited` are those with an upper limit of normal somewhere."""
    wanted = {name: measure.sdtm.testcd or name for name, measure in study.measures.items()}
    declared = [measure.sdtm.testcd for measure in study.measures.values() if measure.sdtm.testcd]
    names = sas_names([*declared, *(name for name in wanted.values())])
    return {
        name: Test(
            measure.sdtm.domain or _domain(measure, name in limited),
            names[wanted[name]],
            measure.label,
            f"{measure.label} ({measure.unit})" if measure.unit else measure.label,
        )
        for name, measure in study.measures.items()
    }


def _domain(measure: Measure, limited: bool) -> str:
    if measure.unit == "kg":
        return "VS"
    return "LB" if limited or _A_VOLUME.fullmatch(measure.unit or "") else "QS"

"""What a study for trying says, unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_ivig.study.study import Study

BASE: dict[str, Any] = {
    "study": "try",
    "title": "A trial for trying",
    "status": "active",
    "base": "https://example.org/try",
    "fhir_version": "R4",
    "visits": [
        {"visit": "week 0", "day": "0", "window": ["-14", "0"]},
        {"visit": "week 4", "day": "28", "window": ["21", "42"]},
    ],
    "measures": {
        "CK": {"label": "Creatine kinase", "unit": "U/L"},
        "MMT": {"label": "Manual muscle test", "unit": "score", "scale_max": "100"},
        "physician": {"label": "Physician's assessment"},
    },
}

MakeStudy = Callable[..., Study]

"""The report's page: what is on it, and that no text of a study or patient becomes markup."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from fhir_ivig.reporting import make_report

SAMPLE = Path(__file__).parents[2] / "sample_bundles/hara2003"


def test_sample_has_each_published_figure_beside_ours() -> None:
    made, issues = make_report(SAMPLE)
    assert issues == []
    assert made.html.count('<td><span class="mark equal">equal</span></td>') == 24
    assert made.html.count('<td><span class="mark differs">') == 0
    assert "doi:10.3109/s10165-003-0250-9" in made.html


def test_sample_has_every_figure() -> None:
    made, _ = make_report(SAMPLE)
    measures = ["CK", "MMT", "ADL", "fatigue", "pain"]
    assert sorted(figure.name for figure in made.figures) == sorted(
        [
            "flow",
            "forest",
            "percents",
            "responders-improved",
            "swimmer",
            "doses-prednisolone",
            "lines-weight",
            *(f"lines-{measure}" for measure in measures),
            *(f"slopes-{measure.lower()}" for measure in measures),
        ]
    )
    for figure in made.figures:
        ElementTree.fromstring(figure.drawing)
        assert figure.description
        assert figure.values.rows
        assert all(len(row) == len(figure.values.heads) for row in figure.values.rows)

"""The report's page: what is on it, and that no text of a study or patient becomes markup."""

from __future__ import annotations

from pathlib import Path

from fhir_ivig.reporting import make_report

SAMPLE = Path(__file__).parents[2] / "sample_bundles/hara2003"


def test_sample_has_each_published_figure_beside_ours() -> None:
    made, issues = make_report(SAMPLE)
    assert issues == []
    assert made.html.count('<td><span class="mark equal">equal</span></td>') == 24
    assert made.html.count('<td><span class="mark differs">') == 0
    assert "doi:10.3109/s10165-003-0250-9" in made.html

"""Texts that a spreadsheet would compute instead of showing them."""

from __future__ import annotations

import re

# What a formula begins with, in full width too (OWASP, https://owasp.org/www-community/attacks/CSV_Injection).
FORMULA = "[=+\\-@\\t\\r\\n\uff1d\uff0b\uff0d\uff20]"
_NUMBER = r"[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?"
_COMPUTED = re.compile(rf"(?!{_NUMBER}\Z){FORMULA}")


def harmless(cell: str) -> str:
    """A cell of a CSV file that a spreadsheet only shows: where it would compute a text, with an apostrophe before
    it. Numbers stay as they are."""
    return f"'{cell}" if _COMPUTED.match(cell) else cell

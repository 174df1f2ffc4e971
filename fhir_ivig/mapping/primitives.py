"""The grammars of FHIR's primitive types, checked a column at a time.

Source: https://hl7.org/fhir/R4/datatypes.html#primitive (the regexes there; R5 the same for the types used here),
made exact where prose says more than the regex: a day must exist in the calendar, a time needs a zone.
"""

from __future__ import annotations

import re
import string
from calendar import monthrange
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

DECIMAL = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_YEAR, _MONTH, _DAY = r"[0-9]{4}", r"(0[1-9]|1[0-2])", r"(0[1-9]|[12][0-9]|3[01])"
_ZONE = r"(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
_BLANKS = "".join(map(chr, (0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)))
_SEEN = rf"[^\s{_BLANKS}]"  # Unicode's blanks are blanks too, as the \S of FHIR's regexes is mostly understood
_DATE = f"{_YEAR}(-{_MONTH}(-{_DAY})?)?"

# The grammar of each type, as a regular expression for the whole text, and what a person is told when it fails.
GRAMMARS: dict[str, tuple[str, str]] = {
    "boolean": ("true|false", "true or false"),
    "integer": (r"-?(0|[1-9][0-9]{0,9})", "a whole number"),
    "positiveInt": (r"[1-9][0-9]{0,9}", "a whole number above zero"),
    "unsignedInt": (r"0|[1-9][0-9]{0,9}", "a whole number, zero or more"),
    "decimal": (DECIMAL, "a decimal number written with a point, such as 612.60"),
    "date": (_DATE, "a date such as 2003, 2003-05 or 2003-05-17"),
    "dateTime": (
        f"{_YEAR}(-{_MONTH}(-{_DAY}(T{_TIME}{_ZONE})?)?)?",
        "a date, or a date with time and zone such as 2003-05-17T09:30:00+09:00",
    ),
    "instant": (f"{_YEAR}-{_MONTH}-{_DAY}T{_TIME}{_ZONE}", "a date with time and zone"),
    "time": (_TIME, "a time such as 09:30:00"),
    "code": (f"{_SEEN}+( {_SEEN}+)*", "a code: no blanks at its ends, none doubled"),
    "id": (r"[A-Za-z0-9\-.]{1,64}", "a FHIR id: letters, digits, - and ., at most 64"),
    "uri": (f"{_SEEN}+", "a URI, without blanks"),
    "oid": (r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+", "an OID such as urn:oid:1.2.392"),
    "uuid": (r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "a UUID: urn:uuid: and lower-case digits"),
    "base64Binary": (r"([0-9A-Za-z+/]{4})*([0-9A-Za-z+/]{2}==|[0-9A-Za-z+/]{3}=)?", "base64, without blanks"),
    "integer64": (r"-?(0|[1-9][0-9]{0,18})", "a whole number"),
}
for _same in ("url", "canonical"):
    GRAMMARS[_same] = GRAMMARS["uri"]
TEXT_TYPES = frozenset({"string", "markdown"})
NUMBER_TYPES = frozenset({"decimal", "integer", "positiveInt", "unsignedInt"})  # JSON numbers; boolean is bare too
DATED = frozenset({"date", "dateTime", "instant"})
_WHOLE = frozenset({"integer", "positiveInt", "unsignedInt"})  # all of 32 bits

# Control characters that JSON could carry but FHIR's string may not hold (all below 32 but tab, LF and CR).
_FORBIDDEN = r"[\x00-\x08\x0b\x0c\x0e-\x1f]"
# Arrow's regular expressions (RE2) are quicker where no group is captured.
_arrow = {kind: f"^(?:{grammar.replace('(', '(?:')})$" for kind, (grammar, _) in GRAMMARS.items()}
_compiled = {kind: re.compile(grammar, re.ASCII) for kind, (grammar, _) in GRAMMARS.items()}
_forbidden = re.compile(_FORBIDDEN)
_seen = re.compile(_SEEN, re.ASCII)


def expected(kind: str) -> str:
    """What a value of this type looks like, in words."""
    return GRAMMARS[kind][1] if kind in GRAMMARS else "text with something but blanks, and no control characters"


@lru_cache(maxsize=1 << 16)
def fits(kind: str, text: str) -> bool:
    """Whether one text is a value of the primitive type."""
    if kind in TEXT_TYPES or kind not in GRAMMARS:
        return bool(_seen.search(text)) and not _forbidden.search(text)
    if not _compiled[kind].fullmatch(text) or _forbidden.search(text):
        return False
    if kind in DATED:
        return _in_calendar(text)
    return kind not in _WHOLE or abs(int(text)) < 1 << 31


def _in_calendar(text: str) -> bool:
    if len(text) < 10:
        return text[:4] != "0000"
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    return year > 0 and day <= monthrange(year, month)[1]


def _all_ids(column: pa.Array) -> bool:
    """Whether every cell is a FHIR id, seen in its bytes: many times quicker than by a regular expression."""
    import numpy as np
    import pyarrow.compute as pc

    if column.null_count or not len(column):
        return False
    allowed = np.zeros(256, bool)
    allowed[list(b"-." + string.digits.encode() + string.ascii_letters.encode())] = True
    length = pc.min_max(pc.binary_length(column)).as_py()
    return bool(length["min"] >= 1 and length["max"] <= 64 and allowed[utf8(column)].all())


def utf8(column: pa.Array) -> np.ndarray:
    """The bytes of all texts of a string column, one after the other, without a copy."""
    import numpy as np

    offsets = np.frombuffer(column.buffers()[1], np.int32)
    octets = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    return octets[offsets[column.offset] : offsets[column.offset + len(column)]]


def misfits(kind: str, column: pa.Array) -> pa.Array | None:
    """Which cells of a string column are no value of the type (null cells fit): a mask, or None if all fit."""
    import pyarrow.compute as pc

    if kind in TEXT_TYPES or kind not in GRAMMARS:
        bad = pc.invert(pc.match_substring_regex(column, _SEEN))
        if utf8(column).min(initial=ord(" ")) < ord(" "):
            bad = pc.or_(bad, pc.match_substring_regex(column, _FORBIDDEN))
    elif kind in DATED or kind in _WHOLE:  # few distinct values, and more to ask than a grammar
        known = column.dictionary_encode()
        wrong = [not fits(kind, text) if text is not None else False for text in known.dictionary.to_pylist()]
        if not any(wrong):
            return None
        import pyarrow as pa

        bad = pc.take(pa.array(wrong, pa.bool_()), known.indices)
    elif kind == "id" and _all_ids(column):
        return None
    else:
        bad = pc.invert(pc.match_substring_regex(column, _arrow[kind]))
        if kind in ("code", "uri"):
            bad = pc.or_(bad, pc.match_substring_regex(column, _FORBIDDEN))
    return bad if pc.any(bad).as_py() else None

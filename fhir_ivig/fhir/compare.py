"""Whether a server already holds a resource: its meaning compared, not its bytes.

Not compared: what is the server's own (`meta.versionId`, `lastUpdated`, `source`), tags, security labels, profiles
and a narrative that it added, the order of elements in an object, absolute and relative form of a reference to the
same server. Numbers are compared by value and by digits after the point, as FHIR's decimal has precision
(https://hl7.org/fhir/R4/datatypes.html#decimal): 1.0E2 is 100, but 10.50 is not 10.5.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any

import msgspec

_SERVERS_OWN = {"versionId", "lastUpdated", "source"}
_decoder = msgspec.json.Decoder(float_hook=Decimal)


@dataclass(slots=True)
class Comparison:
    """What differs, path -> (ours, theirs; None where there is nothing): in `content`, or only in the `digits` of a
    decimal, such as 10.50 that came back as 10.5.

    `exact` is whether theirs shows a decimal with a trailing zero after the point that no binary number keeps: then
    whoever stores it keeps decimals as written, and a difference in digits is somebody's change.
    """

    content: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    digits: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    exact: bool = False


class UnreadableError(Exception):
    """What should be a resource is no JSON object, is nested too deep, or has a number beyond all decimals."""


def compare(ours: bytes, theirs: bytes, base: str = "") -> Comparison:
    """How `theirs`, from the server at `base`, differs from `ours`; UnreadableError when either is no JSON object."""
    mine, other = _content(ours), _content(theirs)
    found = Comparison()
    _compare_meta(mine.pop("meta", {}), other.pop("meta", {}), found)
    if "text" not in mine:
        other.pop("text", None)
    _walk(mine, other, str(mine.get("resourceType", "")), base + "/" if base else "", found)
    return found


def _content(resource: bytes) -> dict[str, Any]:
    try:
        content = _decoder.decode(resource)
    except (ValueError, RecursionError, InvalidOperation):
        content = None
    if not isinstance(content, dict):
        raise UnreadableError
    return content


def _compare_meta(mine: Any, other: Any, found: Comparison) -> None:
    """What we wrote in `meta` must be there; what else is there is the server's."""
    if not isinstance(mine, dict) or not isinstance(other, dict):
        found.content["meta"] = mine, other
        return
    for key, value in mine.items():
        if isinstance(value, list) and isinstance(other.get(key), list):
            missing = [item for item in value if item not in other[key]]
        else:
            missing = [] if value == other.get(key) or key in _SERVERS_OWN else [value]
        if missing:
            found.content[f"meta.{key}"] = value, other.get(key)


def _walk(mine: Any, other: Any, path: str, base: str, found: Comparison) -> None:
    if isinstance(mine, dict) and isinstance(other, dict):
        for key in mine.keys() | other.keys():
            _walk(mine.get(key), other.get(key), f"{path}.{key}", base, found)
    elif isinstance(mine, list) and isinstance(other, list) and len(mine) == len(other):
        for number, (left, right) in enumerate(zip(mine, other, strict=True)):
            _walk(left, right, f"{path}[{number}]", base, found)
    elif _is_number(mine) and _is_number(other):
        _walk_numbers(Decimal(mine), Decimal(other), path, found)
    elif isinstance(other, str) and base and path.endswith(".reference"):
        if other.removeprefix(base) != (mine.removeprefix(base) if isinstance(mine, str) else mine):
            found.content[path] = mine, other
    elif type(mine) is not type(other) or mine != other:
        found.content[path] = mine, other


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _walk_numbers(mine: Decimal, other: Decimal, path: str, found: Comparison) -> None:
    decimals = _decimals(other)
    found.exact = found.exact or (decimals > 1 and other.as_tuple().digits[-1] == 0)
    if mine == other and _decimals(mine) == decimals:
        return
    (found.digits if float(mine) == float(other) else found.content)[path] = mine, other


def _decimals(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def fingerprint(resource: bytes, base: str = "") -> bytes:
    """A hash of what `compare` looks at, the same however the server at `base` lays it out or rounds its numbers;
    UnreadableError when it is no JSON object. `meta` and the narrative are left out."""
    kept = {name: value for name, value in _content(resource).items() if name not in ("meta", "text")}
    text = json.dumps(_plain(kept, base + "/" if base else ""), sort_keys=True)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _plain(value: Any, base: str, name: str = "") -> Any:
    if isinstance(value, dict):
        return {each: _plain(child, base, each) for each, child in value.items()}
    if isinstance(value, list):
        return [_plain(item, base) for item in value]
    if isinstance(value, str):
        return value.removeprefix(base) if base and name == "reference" else value
    return float(Decimal(value)) + 0.0 if _is_number(value) else value


class _Meta(msgspec.Struct):
    versionId: str | None = None  # noqa: N815


class _Held(msgspec.Struct):
    meta: _Meta | None = None


def version(resource: bytes) -> str | None:
    """The version that a server gave to a resource, where it says one."""
    try:
        meta = msgspec.json.decode(resource, type=_Held).meta
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return meta.versionId if meta else None

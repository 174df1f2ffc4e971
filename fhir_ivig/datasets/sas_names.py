"""Names of at most eight signs, as SAS transport files of version 5 have them."""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST = 8
_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,7}")
_OTHER = re.compile(r"[^A-Z0-9]+")


def sas_names(names: Iterable[str]) -> dict[str, str]:
    """The name of each of the names in a transport file; no two alike.

    In capitals. Where that has more than eight signs, or others than A-Z, 0-9 and _, its words are put together and
    their longest (of several the last) is shortened at its end, a sign at a time, until it fits: `planned_dose_unit`
    is PLADOSUN. One that would begin with a digit gets a `_` before it. One that another has already gets a number in
    place of its last signs. Names that fit as they are keep theirs, whatever else comes.
    """
    names = list(dict.fromkeys(names))
    fit = {name: name.upper() for name in reversed(names) if _NAME.fullmatch(name.upper())}
    short = {taken: name for name, taken in fit.items()}  # of names alike but for capitals, the first
    for name in names:
        if short.get(name.upper()) != name:
            short[_free(_shortened(name), short)] = name
    found = {name: taken for taken, name in short.items()}
    return {name: found[name] for name in names}


def _shortened(name: str) -> str:
    words = [word for word in _OTHER.split(name.upper()) if word]
    while sum(map(len, words)) > LONGEST:
        longest = max(range(len(words)), key=lambda at: (len(words[at]), at))
        words[longest] = words[longest][:-1]
    short = "".join(words)
    return short if _NAME.fullmatch(short) else f"_{short}"[:LONGEST]


def _free(name: str, taken: Iterable[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name[: LONGEST - len(str(number))]}{number}"
    return free

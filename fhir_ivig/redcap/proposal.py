"""A proposed study.yaml: lines with their certainty, those to decide left out with a `#`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Certainty = Literal["", "sure", "likely", "to decide"]
WIDTH = 60  # where the comments stand
_PLAIN = r"[A-Za-z][\w/.-]*( [\w/.-]+)*"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line, how certain it is and why, and the lines below it. What is to decide is a comment, with all below."""

    text: str
    certainty: Certainty = ""
    why: str = ""
    below: Sequence[Entry] = field(default_factory=tuple)

    def lines(self, depth: int = 0, off: bool = False) -> Iterator[str]:
        """As they stand in the file."""
        out = off or self.certainty == "to decide"
        line = f"{'  ' * depth}{'# ' if out else ''}{self.text}"
        said = ": ".join(part for part in (self.certainty, self.why) if part)
        yield f"{line.ljust(WIDTH)}  # {said}" if said else line
        for entry in self.below:
            yield from entry.lines(depth + 1, out)

    def every(self) -> Iterator[Entry]:
        """Itself and all below it."""
        yield self
        for entry in self.below:
            yield from entry.every()


def counts(entries: Iterable[Entry]) -> Counter[str]:
    """How many lines there are of each certainty."""
    return Counter(one.certainty for entry in entries for one in entry.every() if one.certainty)


def left(entries: Iterable[Entry], above: str = "") -> Iterator[str]:
    """What is left to decide: where it stands, and what it is."""
    for entry in entries:
        name = entry.text.lstrip("- ").partition(":")[0]
        where = f"{above}.{name}" if above else name
        if entry.certainty == "to decide":
            yield f"{above + ': ' if above else ''}{entry.text}  ({entry.why})"
        else:
            yield from left(entry.below, where)


def scalar(text: str) -> str:
    """A text in YAML."""
    plain = re.fullmatch(_PLAIN, text) and text.lower() not in ("yes", "no", "true", "false", "on", "off", "null")
    return text if plain else "'" + text.replace("'", "''") + "'"


def flow(pairs: Mapping[str, str | Sequence[str]]) -> str:
    """A mapping on one line."""
    inside = (f"{scalar(name)}: {value(one)}" for name, one in pairs.items())
    return f"{{{', '.join(inside)}}}"


def value(one: str | Sequence[str]) -> str:
    """A text, or a list of texts on one line."""
    return scalar(one) if isinstance(one, str) else f"[{', '.join(map(scalar, one))}]"

"""SVG out of numbers and texts, nothing else: every function gives a piece of SVG as text, all of it escaped.

A piece with a `tip` says, when it is pointed at, what it stands for: a value and its resource.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from fhir_ivig.report.figures.palette import attributes

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
SIZE = 13  # of text
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # not in XML 1.0, even escaped

Point = tuple[float, float]


def clean(text: str) -> str:
    """A text as it may stand in XML, in content and in attributes."""
    return escape(_FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text))


def element(name: str, part: str = "", content: str = "", tip: str = "", **given: float | str) -> str:
    """An element; `part` is what it is in the palette, `x_` of `given` is written `x-`, `content` is SVG already."""
    known = {key.rstrip("_").replace("_", "-"): value for key, value in given.items()}
    every = {"class": part, **attributes(part), **known} if part else known
    written = "".join(f' {key}="{_value(value)}"' for key, value in every.items())
    inner = (f"<title>{clean(tip)}</title>" if tip else "") + content
    return f"<{name}{written}>{inner}</{name}>" if inner else f"<{name}{written}/>"


def group(content: str) -> str:
    """What belongs to one subject: it stands out as a whole when a part of it is pointed at."""
    return f'<g class="one">{content}</g>'


def line(start: Point, end: Point, part: str, tip: str = "") -> str:
    return element("line", part, "", tip, x1=start[0], y1=start[1], x2=end[0], y2=end[1])


def polyline(points: Iterable[Point], part: str, tip: str = "") -> str:
    return element("polyline", part, "", tip, points=_points(points))


def polygon(points: Iterable[Point], part: str, tip: str = "") -> str:
    return element("polygon", part, "", tip, points=_points(points))


def rectangle(x: float, y: float, width: float, height: float, part: str, tip: str = "", round_: float = 0) -> str:
    box = element("rect", part, "", tip, x=x, y=y, width=max(width, 0), height=max(height, 0), rx=round_)
    return box.replace(' rx="0"', "", 1)


def dot(at: Point, part: str, tip: str = "", radius: float = 3.5) -> str:
    return element("circle", part, "", tip, cx=at[0], cy=at[1], r=radius)


def diamond(at: Point, part: str, tip: str = "", radius: float = 5.5) -> str:
    x, y = at
    return polygon([(x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y)], part, tip)


def triangle(at: Point, part: str, tip: str = "", radius: float = 5.5) -> str:
    x, y = at
    return polygon([(x, y - radius), (x + radius, y + radius * 0.8), (x - radius, y + radius * 0.8)], part, tip)


def text(at: Point, said: str, part: str = "text", anchor: str = "start", size: float = SIZE) -> str:
    given: dict[str, float | str] = {"x": at[0], "y": at[1]}
    if anchor != "start":
        given["text_anchor"] = anchor
    if size != SIZE:
        given["font_size"] = size
    return element("text", part, clean(said), "", **given)


def picture(name: str, title: str, description: str, width: float, height: float, pieces: Sequence[str]) -> str:
    """The whole drawing, which may stand in a page and in a file; `name` makes its ids unique in a page."""
    head = f'<title id="{clean(name)}-t">{clean(title)}</title><desc id="{clean(name)}-d">{clean(description)}</desc>'
    return element(
        "svg",
        "",
        head + "".join(pieces),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_number(width)} {_number(height)}",
        width=width,
        height=height,
        role="img",
        aria_labelledby=f"{name}-t {name}-d",
        font_family=FONT,
        font_size=SIZE,
    )


def width_of(said: str, size: float = SIZE) -> float:
    """About how wide a text is; wide scripts count double."""
    return sum(1.0 if ord(letter) > 0x2E80 else 0.58 for letter in said) * size


def shortened(said: str, room: float, size: float = SIZE) -> str:
    """As much of a text as has room."""
    if width_of(said, size) <= room:
        return said
    return said[: max(1, int(room / (0.58 * size)) - 1)].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def wrapped(said: str, room: float, lines: int) -> list[str]:
    """A text in at most so many lines, the last shortened."""
    found = [""]
    for word in said.split():
        longer = f"{found[-1]} {word}".strip()
        if width_of(longer) <= room or not found[-1]:
            found[-1] = longer
        else:
            found.append(word)
    if len(found) > lines:
        found[lines - 1 :] = [" ".join(found[lines - 1 :])]
    return [shortened(part, room) for part in found]


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _value(value: float | str) -> str:
    return clean(value) if isinstance(value, str) else _number(value)

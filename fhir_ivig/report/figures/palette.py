"""What each part of a figure looks like: one place for light and dark, screen and file.

The colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), told apart by colour-blind readers,
darkened or lightened where text or thin lines need contrast. Nothing is told by colour alone.
"""

from __future__ import annotations

# Part -> SVG presentation attributes; a pair is (light, dark).
PAINTS: dict[str, dict[str, str | tuple[str, str]]] = {
    "text": {"fill": ("#1b1f24", "#e6e9ec")},
    "strong": {"fill": ("#1b1f24", "#e6e9ec"), "font-weight": "600"},
    "soft": {"fill": ("#57606a", "#a7b0ba")},
    "axis": {"stroke": ("#57606a", "#a7b0ba"), "stroke-width": "1"},
    "grid": {"stroke": ("#e3e7eb", "#2b333c"), "stroke-width": "1"},
    "zero": {"stroke": ("#57606a", "#a7b0ba"), "stroke-width": "1", "stroke-dasharray": "3 3"},
    "window": {"fill": ("#f1f4f7", "#1f262e")},
    "box": {"fill": ("#ffffff", "#14181d"), "stroke": ("#57606a", "#a7b0ba"), "stroke-width": "1.2"},
    "aside": {"fill": ("#f6f8fa", "#1c2229"), "stroke": ("#b3bcc6", "#55606c"), "stroke-width": "1"},
    "subject": {"fill": "none", "stroke": ("#aab3bd", "#5d6874"), "stroke-width": "1.2"},
    "point": {"fill": ("#7d8894", "#8a96a3"), "stroke": ("#ffffff", "#14181d"), "stroke-width": "1"},
    "mean": {"fill": "none", "stroke": ("#005f99", "#6cbdf2"), "stroke-width": "2.8", "stroke-linejoin": "round"},
    "mean-point": {"fill": ("#005f99", "#6cbdf2"), "stroke": ("#ffffff", "#14181d"), "stroke-width": "1.5"},
    "mean-2": {"fill": "none", "stroke": ("#a84300", "#ff9a57"), "stroke-width": "2.8", "stroke-dasharray": "8 4"},
    "mean-2-point": {"fill": ("#a84300", "#ff9a57"), "stroke": ("#ffffff", "#14181d"), "stroke-width": "1.5"},
    "mean-3": {"fill": "none", "stroke": ("#00664c", "#6fd6b4"), "stroke-width": "2.8", "stroke-dasharray": "2 3"},
    "mean-3-point": {"fill": ("#00664c", "#6fd6b4"), "stroke": ("#ffffff", "#14181d"), "stroke-width": "1.5"},
    "mean-text": {"fill": ("#005f99", "#6cbdf2"), "font-weight": "600"},
    "mean-2-text": {"fill": ("#a84300", "#ff9a57"), "font-weight": "600"},
    "mean-3-text": {"fill": ("#00664c", "#6fd6b4"), "font-weight": "600"},
    "better": {"fill": "none", "stroke": ("#8fb8d6", "#3f6f91"), "stroke-width": "1.5"},
    "worse": {"fill": "none", "stroke": ("#c44e00", "#ff9a57"), "stroke-width": "1.8", "stroke-dasharray": "5 3"},
    "same": {"fill": "none", "stroke": ("#7d8894", "#8a96a3"), "stroke-width": "1.4", "stroke-dasharray": "1 3"},
    "band": {"fill": ("#005f99", "#6cbdf2"), "fill-opacity": "0.12"},
    "inner-band": {"fill": ("#005f99", "#6cbdf2"), "fill-opacity": "0.2"},
    "band-2": {"fill": ("#a84300", "#ff9a57"), "fill-opacity": "0.18"},
    "band-3": {"fill": ("#00664c", "#6fd6b4"), "fill-opacity": "0.18"},
    "limit": {"fill": ("#8a6100", "#e8b64c"), "fill-opacity": "0.16"},
    "limit-line": {"stroke": ("#8a6100", "#e8b64c"), "stroke-width": "1.4", "stroke-dasharray": "6 3"},
    "limit-text": {"fill": ("#7a5600", "#e8b64c")},
    "dose": {"fill": ("#e3c27a", "#6e5a2c"), "stroke": ("#8a6100", "#e8b64c"), "stroke-width": "1"},
    "follow": {"fill": ("#e1e6eb", "#333c46")},
    "infusion": {"fill": ("#005f99", "#6cbdf2")},
    "event": {"fill": ("#ffffff", "#14181d"), "stroke": ("#c44e00", "#ff9a57"), "stroke-width": "2"},
    "serious": {"fill": ("#c44e00", "#ff9a57"), "stroke": ("#c44e00", "#ff9a57"), "stroke-width": "2"},
    "event-text": {"fill": ("#a84300", "#ff9a57")},
    "end": {"fill": ("#1b1f24", "#e6e9ec")},
    "left": {"fill": "none", "stroke": ("#1b1f24", "#e6e9ec"), "stroke-width": "1.8"},
    "interval": {"fill": "none", "stroke": ("#005f99", "#6cbdf2"), "stroke-width": "2"},
    "good": {"fill": ("#0072b2", "#56b4e9")},
    "none": {"fill": ("#c3cbd3", "#4b5662")},
}
# Of several arms the first three, told apart by the stroke of their lines too.
MEANS = ("mean", "mean-2", "mean-3")
BANDS = ("inner-band", "band-2", "band-3")


def attributes(part: str) -> dict[str, str]:
    """The presentation attributes of a part in light colours: what a file, a print and a PDF show."""
    return {name: value if isinstance(value, str) else value[0] for name, value in PAINTS[part].items()}


def dark_style() -> str:
    """The CSS rules that turn the parts dark; attributes are weaker than any rule."""
    rules = []
    for part, paint in PAINTS.items():
        dark = "".join(f"{name}:{value[1]};" for name, value in paint.items() if isinstance(value, tuple))
        rules.append(f"svg .{part}{{{dark}}}")
    return "@media screen and (prefers-color-scheme:dark){" + "".join(rules) + "}"

"""NDJSON to columns of raw JSON: one string column for each top-level element, not looked into.

A block of lines is decoded by one compiled decoder that keeps each element's bytes as they are. The lengths of the
elements must add up to the length of the line: a line where they do not has members that no mapping knows, a name
twice, or blanks between, and is looked at by itself (`odd`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec.structs import astuple

from fhir_ivig.issue import Issue

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

ALWAYS = ("resourceType", "id", "meta", "identifier")
NEWLINE = ord("\n")
ONE_WORD = ("resourceType", "status")  # members that are mostly the same on every line of a block
SHAPES = 64  # sets of members for which a decoder of their own is made
CHUNK = 1 << 20  # bytes decoded at a time: what is decoded should still be in the cache when it is copied


class Lines:
    """Lines of NDJSON that are JSON objects, as columns.

    `column(name)` is the JSON of an element, each with a newline behind it (they are cut from one joined text, and
    to take the newlines out would cost a copy); null where the element is missing.
    """

    def __init__(
        self,
        raw: Mapping[str, Sequence[Any]],
        data: bytes,
        ends: np.ndarray,
        numbers: np.ndarray,
        same: Mapping[str, bytes] | None = None,
    ) -> None:
        self.same = same or {}  # what is known to be the same on every line
        self._raw, self.data, self.ends, self.numbers = raw, data, ends, numbers
        self._columns: dict[str, pa.Array] = {}
        self._uniform: dict[str, str | None] = {}

    def __len__(self) -> int:
        return len(self.numbers)

    def raw(self, name: str) -> Sequence[Any]:
        """The JSON of an element on each line, as bytes; nothing at all where no line has it."""
        if name in self.same:
            return [self.same[name]] * len(self)
        return self._raw.get(name, ())

    def uniform(self, name: str) -> str | None:
        """The JSON of an element, with a newline, if it is there and the same on every line; else None."""
        if name not in self._uniform:
            if name in self.same:
                return self.same[name].decode() + "\n"
            found = self.raw(name)
            same = bool(found) and found[0] == found[-1] and found.count(found[0]) == len(found)
            text = str(bytes(found[0]), "utf-8") if same else ""
            self._uniform[name] = f"{text}\n" if text else None
        return self._uniform[name]

    def column(self, name: str) -> pa.Array:
        """The JSON of an element on each line."""
        if name not in self._columns:
            self._columns[name] = _column(self.raw(name), len(self))
        return self._columns[name]

    def text(self, place: int) -> bytes:
        """A whole line."""
        return self.data[self.ends[place - 1] + 1 if place else 0 : self.ends[place]]

    def take(self, places: np.ndarray) -> Lines:
        """Some of the lines."""
        import numpy as np

        chosen = places.tolist()
        texts = [self.text(place) for place in chosen]
        ends = np.cumsum(np.fromiter((len(text) + 1 for text in texts), np.int64, len(texts))) - 1
        raw = {name: [found[place] for place in chosen] for name, found in self._raw.items()}
        return Lines(raw, b"\n".join(texts) + b"\n", ends, self.numbers[places], self.same)

    def odd(self, names: Iterable[str]) -> dict[int, tuple[dict[str, str], bool]]:
        """The lines that these elements do not add up to: the JSON of their further members, by name, and whether
        they add up with those. If not, a name stands twice (or is written with escapes, or blanks stand between)."""
        import numpy as np

        names = tuple(dict.fromkeys((*ALWAYS, *names)))
        expected = np.full(len(self), 1, np.int64)  # {}, less the comma that the first member has not
        for name in names:
            if name not in self.same and not self._raw.get(name):
                continue
            if (same := self.uniform(name)) is not None:
                expected += len(same.encode()) + len(name) + 3
            elif (column := self.column(name)).null_count < len(self):
                offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(self) + 1]
                lengths = np.diff(offsets)
                expected += np.where(lengths > 1, lengths + len(name) + 3, 0)
        given = np.diff(self.ends, prepend=-1) - 1
        return {int(place): self.further(int(place), set(names)) for place in np.flatnonzero(expected != given)}

    def further(self, place: int, known: set[str]) -> tuple[dict[str, str], bool]:
        """The members of a line that are not known, as JSON, and whether all add up to the line."""
        text = self.text(place)
        members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        length = 1 + sum(len(name.encode()) + len(raw) + 4 for name, raw in members.items())
        return {name: str(bytes(raw), "utf-8") for name, raw in members.items() if name not in known}, length == len(
            text
        )


class LineDecoder:
    """Decodes blocks of NDJSON into the columns of the elements that some mapping knows.

    The lines of a block mostly have the same members. So a block is first decoded as if all had the members of its
    first line, by a decoder that accepts nothing else; if that fails, by one that accepts everything.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.general = _Shape(dict.fromkeys((*ALWAYS, *names)), exact=False)
        self.shapes: dict[tuple[tuple[str, bytes | None], ...], _Shape] = {}

    def decode(self, data: bytes, numbers: Iterable[int], file: str | None) -> tuple[Lines, list[Issue]]:
        """The lines of a block that are JSON objects, and an Issue for each that is not."""
        import numpy as np

        ends = np.flatnonzero(np.frombuffer(data, np.uint8) == NEWLINE)
        places = np.asarray(numbers, np.int64)
        try:
            if not data.isascii():
                data.decode()
            if _one_each(data, ends):
                shape, members = self.members(data, ends)
                if len(next(iter(members.values()), ends)) == len(ends):
                    return Lines(members, data, ends, places, shape.same), []
            return self.one_by_one(data, places, file)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return self.one_by_one(data, places, file)

    def members(self, data: bytes, ends: np.ndarray) -> tuple[_Shape, dict[str, Sequence[Any]]]:
        first = msgspec.json.decode(data[: ends[0]], type=dict[str, msgspec.Raw])
        if self.general.known.issuperset(first):
            form = {name: _word(raw) if name in ONE_WORD else None for name, raw in first.items()}
            key = tuple(form.items())
            if key not in self.shapes and len(self.shapes) < SHAPES:
                self.shapes[key] = _Shape(form, exact=True)
            try:
                shape = self.shapes.get(key, self.general)
                return shape, shape.members(data, ends)
            except msgspec.ValidationError:
                pass
        return self.general, self.general.members(data, ends)

    def one_by_one(self, data: bytes, places: np.ndarray, file: str | None) -> tuple[Lines, list[Issue]]:
        import numpy as np

        texts, good, issues = [], [], []
        for index, text in enumerate(data.removesuffix(b"\n").split(b"\n")):
            try:
                text.decode()
                self.general.decoder.decode(text)
                texts.append(text + b"\n")
                good.append(index)
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
                said = f"This line is not a JSON object: {_why(error)}."
                issues.append(Issue("error", "structure", said, file, int(places[index])))
        sound = b"".join(texts)
        ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts))) - 1
        kept = places[np.array(good, np.int64)]
        return Lines(self.general.members(sound, ends) if texts else {}, sound, ends, kept), issues


class _Shape:
    """A decoder for objects with the members of `form`: `exact`, all of them and no other; else any of them.

    Where `form` gives a member's JSON, every object must have just that (`same`).
    """

    def __init__(self, form: dict[str, bytes | None], exact: bool) -> None:
        self.same = {name: text for name, text in form.items() if text is not None}
        self.order, self.known = tuple(form), frozenset(form)
        fields: list[Any] = []
        for place, text in enumerate(form.values()):
            kind: Any = msgspec.Raw if text is None else Literal[str(msgspec.json.decode(text))]
            fields.append((f"f{place}", kind) if exact else (f"f{place}", kind, msgspec.Raw()))
        rename = {f"f{place}": name for place, name in enumerate(form)}
        struct = msgspec.defstruct("Line", fields, rename=rename, forbid_unknown_fields=exact, gc=False)
        self.decoder = msgspec.json.Decoder(struct)

    def members(self, data: bytes, ends: np.ndarray) -> dict[str, Sequence[Any]]:
        """The members' JSON on each line. Decoded a chunk at a time, so that it is still in the cache when taken."""
        import numpy as np

        found: list[list[Any]] = [[] for _ in self.order]
        start = 0
        while start < len(data):
            within = np.searchsorted(ends, start + CHUNK)
            end = int(ends[min(int(within), len(ends) - 1)]) + 1
            objects = self.decoder.decode_lines(data if end - start == len(data) else memoryview(data)[start:end])
            for column, raw in zip(found, zip(*map(astuple, objects), strict=True), strict=True):
                column += raw
            start = end
        return {name: raw for name, raw in zip(self.order, found, strict=True) if name not in self.same}


def _one_each(data: bytes, ends: np.ndarray) -> bool:
    """Whether every line begins and ends as an object: then, as many objects as lines are one on each.

    (An object that goes on in the next line would go on with a brace, which JSON has only behind `:`, `[` or `,`.)
    """
    import numpy as np

    signs = np.frombuffer(data, np.uint8)
    starts = np.concatenate(([0], ends[:-1] + 1))
    return bool((signs[starts] == ord("{")).all() and (signs[ends - 1] == ord("}")).all())


def _word(raw: msgspec.Raw) -> bytes | None:
    """A JSON string that is one plain word, such as a code."""
    text = bytes(raw)
    return text if text[1:-1].replace(b"-", b"").isalnum() and text[:1] == b'"' else None


def _column(raw: Sequence[Any], count: int) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    texts = b"\n".join(raw) + b"\n" if raw else b""
    if len(texts) <= count:
        return pa.nulls(count, pa.string())
    offsets = np.zeros(count + 1, np.int32)
    offsets[1:] = np.flatnonzero(np.frombuffer(texts, np.uint8) == NEWLINE) + 1
    missing = np.diff(offsets) == 1
    valid = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(texts), valid)


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return str(error).split(" - ")[0].rstrip(".")

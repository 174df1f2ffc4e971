"""YAML as people write it: every scalar stays the text it is, every node knows its line.

YAML's own types would turn `612.60` into 612.6, `no` into False and `2003-05-17` into a date. Here nothing is
converted, and what makes a YAML file mean something else than it shows (anchors, aliases, tags, doubled keys,
further documents) is refused. https://yaml.org/spec/1.2.2/ names the terms.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from fhir_ivig.issue import Code, Issue, IssueError

DEEPEST = 50
LARGEST = 1_000_000  # bytes

_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NULLS = {"", "~", "null", "Null", "NULL"}


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a YAML file: `value` is a dict[str, Node], a list[Node] or the scalar's text, as `kind` says.

    `line` (from 1) is the line of its key where it has one, else where it begins. `empty` marks a scalar that
    YAML takes for null: nothing, `~` or `null`, without quotes.
    """

    kind: Literal["mapping", "sequence", "scalar"]
    value: Any
    line: int
    empty: bool = False


def load(source: Path | str, file: str | None = None) -> Node:
    """The one document in a file (`Path`) or in a text (`str`); `file` names it in Issues, else its name.

    Raises IssueError with file and row (= line) of every problem: a file that cannot be read or is not UTF-8,
    is larger than 1 MB or nested deeper than 50, is not YAML, is empty, holds several documents, anchors,
    aliases, tags, doubled keys, or keys that are no text.
    """
    name = file or (source.name if isinstance(source, Path) else None)
    text = _text(source, name)
    builder = _Builder(name, yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    try:
        root = builder.document()
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        said = error.problem or error.context or "it cannot be understood"
        builder.refuse("structure", f"This is not YAML: {said}.", mark.line + 1 if mark else None)
        root = None
    if builder.issues or root is None:
        raise IssueError(*builder.issues)
    return root


def plain(node: Node) -> Any:
    """The same as nested dict, list and str, without lines."""
    if node.kind == "mapping":
        return {key: plain(child) for key, child in node.value.items()}
    return [plain(child) for child in node.value] if node.kind == "sequence" else node.value


def _text(source: Path | str, file: str | None) -> str:
    try:
        raw = source.read_bytes() if isinstance(source, Path) else source.encode()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise IssueError(Issue("fatal", "not-found", f"Cannot read it: {error.strerror}.", file)) from None
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        raise IssueError(Issue("fatal", "structure", "This is not UTF-8: save it as UTF-8.", file, row)) from None
    except UnicodeEncodeError:
        raise IssueError(Issue("fatal", "structure", "This is not Unicode text.", file)) from None
    if len(raw) > LARGEST:
        raise IssueError(Issue("fatal", "too-long", "Larger than 1 MB: this is not a file for people.", file))
    if bad := _NOT_YAML.search(text):
        row = text.count("\n", 0, bad.start()) + 1
        said = f"The character {bad.group()!a} must not stand in YAML: take it out."
        raise IssueError(Issue("fatal", "structure", said, file, row))
    return text


class _Builder:
    """Nodes from PyYAML's events, with Issues gathered; an over-deep document ends the work."""

    def __init__(self, file: str | None, events: Iterator[Any]) -> None:
        self.file, self.events, self.issues = file, events, list[Issue]()

    def refuse(self, code: Code, text: str, row: int | None = None) -> None:
        self.issues.append(Issue("fatal", code, text, self.file, row))

    def document(self) -> Node | None:
        root = None
        event: Any
        for event in self.events:
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                self.refuse("structure", "A second document begins here: keep one.", line)
                return root
            if isinstance(event, yaml.NodeEvent):
                root = self.node(event, 1)
                if root is None:
                    return None
        if root is None:
            self.refuse("structure", "The file is empty.")
        return root

    def node(self, event: Any, depth: int, line: int | None = None) -> Node | None:
        line = line or event.start_mark.line + 1
        if depth > DEEPEST:
            self.refuse("too-long", f"Nested deeper than {DEEPEST}.", line)
            return None
        if event.anchor is not None:
            self.refuse("not-supported", f"`{event.anchor}`: write anchors and aliases out in full.", line)
        if getattr(event, "tag", None) is not None:
            self.refuse("not-supported", f"Tags such as `{event.tag}` are not understood: remove it.", line)
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(depth, line)
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(depth, line)
        if isinstance(event, yaml.AliasEvent):
            return Node("scalar", "", line, empty=True)
        return Node("scalar", event.value, line, empty=not event.style and event.value in _NULLS)

    def sequence(self, depth: int, line: int) -> Node | None:
        children = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            child = self.node(event, depth + 1)
            if child is None:
                return None
            children.append(child)
        return Node("sequence", children, line)

    def mapping(self, depth: int, line: int) -> Node | None:
        children: dict[str, Node] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.node(event, depth + 1)
            child = self.node(next(self.events), depth + 1, key.line) if key else None
            if key is None or child is None:
                return None
            if key.kind != "scalar" or key.empty:
                self.refuse("structure", "A key must be a word.", key.line)
            elif key.value in children:
                first = children[key.value].line
                self.refuse("duplicate", f"`{key.value}` stands already on line {first}: keep one.", key.line)
            else:
                children[key.value] = child
        return Node("mapping", children, line)

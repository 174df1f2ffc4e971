"""A mapping file: a table's rows on one side, a FHIR resource with holes on the other.

The keys of the file, all checked when it is loaded (https://hl7.org/fhir/R4/ names the elements):

    about      what it is, for people
    table      the study table that it reads and fills
    rows       cells that make a row mine, and that I put back: {measure: CK}
    key        the columns that the resource's identifier and id are made of
    optional   yes: a row that fills none of my columns but the key gives no resource
    required   columns that must be filled, besides those that FHIR itself demands
    either     columns of which exactly one must be filled
    claims     elements whose constants make a resource mine (default: its type alone)
    maps       code maps: cell -> what is written, or a list: what is written, then what else is read
    resource   the resource with holes (see `template`)
    reads      what else is understood when reading, never written:
                 element: any                     its constants are not compared
                 element: [a, b]                  other constants (a Coding may stand for a CodeableConcept)
                 element: [effectivePeriod.start] for a hole: another element that may hold its value
                 element: {instead: {other: ...}} other elements of the resource that may stand for it: templates
                                                  with holes of their own for the same columns
                 quantity: {unit or code: factor} further units, and what to multiply their values by
               (each use of it but `any` is told in an information Issue)

The identifier `{base}/{mapping}|{key}` and the logical id are added by the engine (see `identity`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from fhir_ivig.issue import Issue, IssueError, failed
from fhir_ivig.mapping.checker import NAME, Checker
from fhir_ivig.mapping.elements import VERSIONS, Element, elements
from fhir_ivig.mapping.reads import Reads, ReadsReader
from fhir_ivig.mapping.soundness import unsound
from fhir_ivig.mapping.template import Group, Hole, Template, holes, parameters
from fhir_ivig.yamltext import Node as Yaml
from fhir_ivig.yamltext import load

KEYS = {"about", "table", "rows", "key", "optional", "required", "either", "claims", "maps", "resource", "reads"}


@dataclass(frozen=True, slots=True)
class Mapping:
    """A checked mapping file. `reads` is keyed by FHIRPath; `about` is for people."""

    name: str
    file: str
    version: str
    about: str
    table: str
    rows: dict[str, str]
    key: tuple[str, ...]
    optional: bool
    required: tuple[str, ...]
    either: tuple[str, ...]
    claims: tuple[str, ...]
    resource: Group
    reads: dict[str, Reads]

    @property
    def resource_type(self) -> str:
        """The type of the resource, such as `Observation`."""
        return self.resource.type

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the mapping carries, both ways: key, holes, and the cells of `rows`."""
        named = (column for hole in holes(self.resource) for column in hole.columns if column[0] != "$")
        return tuple(dict.fromkeys((*self.key, *named, *self.rows)))

    @property
    def templates(self) -> tuple[Template, ...]:
        """What is written, and all that is understood besides."""
        patterns = (pattern for reads in self.reads.values() for pattern in reads.patterns)
        return (self.resource, *patterns, *(other for reads in self.reads.values() for _, other in reads.instead))

    @property
    def parameters(self) -> set[str]:
        """The study's parameters that it asks for."""
        return set().union(*map(parameters, self.templates))

    @property
    def references(self) -> tuple[Hole, ...]:
        """The holes that make References, or are only read as such."""
        return tuple(hole for node in self.templates for hole in holes(node) if hole.target)

    @property
    def targets(self) -> tuple[str, ...]:
        """The mappings that its References point to."""
        return tuple(dict.fromkeys(hole.target for hole in self.references if hole.target))

    def element(self, name: str) -> Element | None:
        """What FHIR says of a top-level element."""
        return elements(self.version, self.resource_type).get(name)


def load_mapping(path: Path | str, version: str = "R4", name: str | None = None) -> Mapping:
    """The mapping in a file (`Path`) or a text (`str`, with `name`), checked for a FHIR version.

    Raises IssueError with every problem: file, row (= line) and, within `resource`, FHIRPath.
    """
    file = str(path) if isinstance(path, Path) else f"{name}.yaml"
    if version not in VERSIONS:
        raise IssueError(Issue("fatal", "not-supported", f"FHIR version {version}: use R4, R4B or R5.", file))
    name = name or (path.stem if isinstance(path, Path) else "mapping")
    if not re.fullmatch(NAME, name):
        said = f"`{name}` is no name of a mapping: letters, digits and _, as identifiers are made from it."
        raise IssueError(Issue("fatal", "structure", said, file))
    reader = _Reader(name, file, version, load(path, file))
    mapping = reader.mapping()
    if mapping is None or failed(reader.issues):
        raise IssueError(*reader.issues)
    return mapping


class _Reader:
    """Reads the one document of a mapping file, gathering `issues`."""

    def __init__(self, name: str, file: str, version: str, root: Yaml) -> None:
        self.name, self.file, self.version, self.root = name, file, version, root
        self.issues: list[Issue] = []

    def refuse(self, node: Yaml, text: str, path: str | None = None) -> None:
        self.issues.append(Issue("fatal", "structure", text, self.file, node.line, path=path))

    def mapping(self) -> Mapping | None:
        if self.root.kind != "mapping":
            self.refuse(self.root, "A mapping file is a mapping: table, key, resource ...")
            return None
        parts = self.root.value
        for key in parts.keys() - KEYS:
            self.refuse(parts[key], f"`{key}` is no key of a mapping file; these are: {', '.join(sorted(KEYS))}.")
        for key in sorted({"table", "key", "resource"} - parts.keys()):
            self.refuse(self.root, f"A mapping file needs `{key}`.")
        checker = Checker(self.version, self.file, self.maps())
        resource = checker.resource(parts["resource"]) if "resource" in parts else None
        about, table, optional = self.text("about"), self.text("table"), self.text("optional", "no")
        key, required, either, claims = map(self.words, ("key", "required", "either", "claims"))
        rows = {column: self.scalar(cell) for column, cell in self.dictionary("rows").items()}
        if optional not in ("yes", "no"):
            self.refuse(parts["optional"], "`optional` is yes or no.")
        self.issues += checker.issues
        if resource is None or self.issues:
            return None
        mapping = Mapping(
            name=self.name,
            file=self.file,
            version=self.version,
            about=about,
            table=table,
            rows=rows,
            key=key,
            optional=optional == "yes",
            required=required,
            either=either,
            claims=claims,
            resource=resource,
            reads=dict(ReadsReader(resource, checker, self.refuse).all(self.dictionary("reads"))),
        )
        self.issues += checker.issues
        self.check_lists(mapping)
        self.check_columns(mapping)
        if not self.issues:
            self.issues += unsound(mapping)
        used = {hole.via for template in mapping.templates for hole in holes(template)}
        for name in checker.maps.keys() - used:
            self.refuse(checker.maps[name], f"No hole goes `via {name}`: take the code map out.")
        return mapping

    def check_lists(self, mapping: Mapping) -> None:
        """`key`, `required`, `either` and `claims`, by themselves."""
        if not mapping.key:
            self.refuse(self.root.value["key"], "The key needs a column: what makes two rows two resources?")
        for part in ("key", "required", "either", "claims"):
            listed = getattr(mapping, part)
            for name in dict.fromkeys(name for name in listed if listed.count(name) > 1 or name.startswith("$")):
                said = f"`{name}` is a parameter." if name.startswith("$") else f"`{name}` stands here twice."
                self.refuse(self.root.value[part], said)
        if len(mapping.either) == 1 or {*mapping.key, *mapping.required} & set(mapping.either):
            self.refuse(self.root.value["either"], "`either` needs several columns, of which none is always filled.")

    def check_columns(self, mapping: Mapping) -> None:
        """The columns that `key`, `required`, `either` and `rows` name, and the elements that `claims` names."""
        filled = {column for hole in holes(mapping.resource) for column in hole.columns}
        known = filled | set(mapping.key)
        wrong = [
            (part, f"`{column}` fills no hole.")
            for part in ("required", "either")
            for column in getattr(mapping, part)
            if column not in known
        ]
        given = mapping.rows.keys() & filled
        wrong += [("rows", f"`{column}` is given by `rows`: it cannot fill a hole too.") for column in given]
        unclaimed = [name for name in mapping.claims if name not in mapping.resource.members]
        wrong += [("claims", f"`{name}` is no element of the template.") for name in unclaimed]
        for part, said in wrong:
            self.refuse(self.root.value[part], said)
        if "identifier" in mapping.resource.members and not (mapping.element("identifier") or _MANY).many:
            self.refuse(self.root.value["resource"], "Its one identifier is made from the key: take it out.")

    def maps(self) -> dict[str, Yaml]:
        found = self.dictionary("maps")
        for name, node in list(found.items()):
            if node.kind != "mapping" or not node.value:
                self.refuse(node, f"The code map `{name}` is a mapping: cell, then what is written.")
                del found[name]
        return found

    def text(self, key: str, default: str = "") -> str:
        node = self.root.value.get(key)
        return default if node is None else self.scalar(node)

    def scalar(self, node: Yaml) -> str:
        if node.kind == "scalar" and node.value and not node.empty:
            return str(node.value)
        self.refuse(node, "One word or text is expected here.")
        return ""

    def words(self, key: str) -> tuple[str, ...]:
        node = self.root.value.get(key)
        if node is None:
            return ()
        if node.kind != "sequence":
            self.refuse(node, f"`{key}` is a list: [a, b].")
            return ()
        return tuple(self.scalar(item) for item in node.value)

    def dictionary(self, key: str) -> dict[str, Yaml]:
        node = self.root.value.get(key)
        if node is None:
            return {}
        if node.kind != "mapping":
            self.refuse(node, f"`{key}` is a mapping: {{a: b}}.")
            return {}
        return dict(node.value)


_MANY = Element("identifier", "Identifier", True, False, None, False, ())

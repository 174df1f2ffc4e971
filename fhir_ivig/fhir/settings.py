"""server.yaml, or `server:` in a study.yaml: how to reach one FHIR server, who we are there, how it is to be treated.

| Key                | What it says                                                                            |
|--------------------|-----------------------------------------------------------------------------------------|
| base               | the FHIR base address (required)                                                        |
| preset             | hapi, sekmet, medplum, blaze, azure, google or generic: what the rest is if not given   |
| auth               | `bearer: SECRET`, or `smart: {client_id, key: SECRET, key_id, scope, token_origins}`    |
| headers            | `name: text` or `name: SECRET`, sent with every request                                 |
| parameters         | `name: text`, sent with every search                                                    |
| ca_file            | PEM file of certificates to trust in place of the system's                              |
| client_certificate, client_key | PEM files of a certificate of our own and its key                           |
| insecure_http      | yes: http also to another machine                                                       |
| proxy              | an HTTP proxy that https goes through, such as http://proxy.example.org:3128            |
| bulk_origins       | origins other than the server's own from which bulk files may be fetched                |
| bundle             | batch or transaction                                                                    |
| strategy           | client-id, conditional-create or search-create                                          |
| limits             | batch_entries, batch_bytes, connections, page, connect_seconds, answer_seconds,         |
|                    | deadline_seconds                                                                        |
| strict, gzip_requests, search_by_get, lower_case_paths | yes or no, as in `Habits` and `Transport`           |

A SECRET is `{env: NAME}`, `{file: path}` or `{keyring: service/user}`. Paths are relative to the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from fhir_ivig.fhir.gate import Gate, is_origin
from fhir_ivig.fhir.secret import Secret
from fhir_ivig.fhir.smart import Registration
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.shape import Shape
from fhir_ivig.yamltext import Node, load, plain

STRATEGIES = ("client-id", "conditional-create", "search-create")
BUNDLES = ("batch", "transaction")
LIMITS = {  # name -> (least, most)
    "batch_entries": (1, 10_000),
    "batch_bytes": (10_000, 100_000_000),
    "connections": (1, 64),
    "page": (1, 10_000),
    "connect_seconds": (1, 600),
    "answer_seconds": (1, 3600),
    "deadline_seconds": (1, 86_400),
}
PATHS = ("ca_file", "client_certificate", "client_key")
FLAGS = ("strict", "gzip_requests", "search_by_get", "lower_case_paths")
KEYS = (
    "base", "preset", "auth", "headers", "parameters", *PATHS, "insecure_http", "proxy", "bulk_origins", "bundle",
    "strategy", "limits", *FLAGS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """One server, as server.yaml and its preset say; secrets by where they are, not what they are.

    `stated` are the names of what stood in server.yaml itself.
    """

    base: str
    preset: str = "generic"
    auth: Secret | Registration | None = None
    headers: Mapping[str, str | Secret] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    insecure_http: bool = False
    proxy: str | None = None
    bulk_origins: tuple[str, ...] = ()
    bundle: str = "batch"
    strategy: str = "search-create"
    batch_entries: int = 50
    batch_bytes: int = 1 << 20
    connections: int = 2
    page: int = 200
    connect_seconds: int = 10
    answer_seconds: int = 120
    deadline_seconds: int = 600
    strict: bool = True
    gzip_requests: bool = False
    search_by_get: bool = False
    lower_case_paths: bool = False
    stated: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.base


def read_server(node: Node, file: Path) -> ServerSettings:
    """The settings that a server.yaml, or a `server:` block elsewhere, holds; IssueError with every problem."""
    shape, folder = Shape(file.name), file.parent
    given = shape.fields(node, "server", KEYS, ("base",))
    preset = shape.choice(given["preset"], "preset", presets()) if "preset" in given else "generic"
    limits = shape.fields(given["limits"], "limits", LIMITS) if "limits" in given else {}
    read: dict[str, Callable[[Node], Any]] = {
        "base": lambda child: shape.text(child, "base"),
        "auth": lambda child: _auth(child, folder, shape),
        "headers": lambda child: _headers(child, folder, shape),
        "parameters": lambda child: shape.pairs(child, "parameters"),
        "proxy": lambda child: _origin(child, "proxy", shape),
        "bulk_origins": lambda child: _origins(child, "bulk_origins", shape),
        "bundle": lambda child: shape.choice(child, "bundle", BUNDLES),
        "strategy": lambda child: shape.choice(child, "strategy", STRATEGIES),
        **{name: partial(_flag, name, shape) for name in ("insecure_http", *FLAGS)},
        **{name: partial(_path, name, folder, shape) for name in PATHS},
    }
    found = {"base": "", **known_of(preset or "generic")}
    found |= {name: read[name](child) for name, child in given.items() if name in read}
    found |= {name: _limit(child, name, shape) for name, child in limits.items()}
    if found["base"]:
        _gate(given["base"], found["base"], found.get("insecure_http", False), shape)
    if shape.issues:
        raise IssueError(*sorted(shape.issues, key=lambda issue: issue.row or 0))
    return ServerSettings(**found, stated=frozenset({*given, *limits} - {"limits"}))


@cache
def presets() -> dict[str, dict[str, str]]:
    """Preset -> what is known of such servers, as it stands in presets.yaml."""
    known: dict[str, dict[str, str]] = plain(load(Path(__file__).with_name("presets.yaml")))
    return known


def known_of(preset: str) -> dict[str, Any]:
    """The fields of ServerSettings that a preset fills; IssueError if there is none of that name."""
    known = presets().get(preset)
    if known is None:
        text = f"`{preset}` is no preset. Known are: {', '.join(presets())}."
        raise IssueError(Issue("fatal", "not-found", text))
    found: dict[str, Any] = {name: known[name] for name in ("bundle", "strategy")}
    found |= {name: int(known[name]) for name in LIMITS if name in known}
    found |= {name: known[name] == "yes" for name in FLAGS if name in known}
    return {"preset": preset, **found}


def _gate(node: Node, base: str, insecure_http: bool, shape: Shape) -> None:
    try:
        Gate.of(base, insecure_http=insecure_http)
    except IssueError as error:
        shape.refuse(node, f"base: {error.issues[0].text}.", "security")


def _flag(name: str, shape: Shape, node: Node) -> bool:
    return shape.flag(node, name)


def _path(name: str, folder: Path, shape: Shape, node: Node) -> Path:
    return folder / shape.text(node, name)


def _headers(node: Node, folder: Path, shape: Shape) -> dict[str, str | Secret]:
    given = shape.mapping(node, "headers").items()
    return {name: _header(name, child, folder, shape) for name, child in given}


def _limit(node: Node, name: str, shape: Shape) -> int:
    least, most = LIMITS[name]
    number = shape.integer(node, f"limits.{name}")
    if not least <= number <= most:
        shape.refuse(node, f"limits.{name}: write a number from {least} to {most}.")
    return number


def _auth(node: Node, folder: Path, shape: Shape) -> Secret | Registration | None:
    given = shape.fields(node, "auth", ("bearer", "smart"))
    if len(given) > 1:
        shape.refuse(node, "auth: write bearer or smart, not both.", "invariant")
    if "bearer" in given:
        return _secret(given["bearer"], "auth.bearer", folder, shape)
    if "smart" not in given:
        return None
    smart = shape.fields(
        given["smart"], "auth.smart", ("client_id", "key", "key_id", "scope", "token_origins"), ("client_id", "key")
    )
    key = _secret(smart["key"], "auth.smart.key", folder, shape) if "key" in smart else None
    client_id = shape.text(smart["client_id"], "auth.smart.client_id") if "client_id" in smart else ""
    return Registration(
        client_id,
        key or Secret("env", ""),  # only where there is an Issue
        shape.text(smart["key_id"], "auth.smart.key_id") if "key_id" in smart else None,
        shape.text(smart["scope"], "auth.smart.scope") if "scope" in smart else "system/*.cruds",
        _origins(smart["token_origins"], "auth.smart.token_origins", shape) if "token_origins" in smart else (),
    )


def _secret(node: Node, name: str, folder: Path, shape: Shape) -> Secret | None:
    if node.kind != "mapping" or len(node.value) != 1:
        # What stands here may be the secret itself: it is not repeated.
        text = "write where the secret is: `{env: NAME}`, `{file: path}` or `{keyring: service/user}`"
        shape.refuse(node, f"{name}: {text}; the secret itself must not stand in this file.", "security")
        return None
    given = shape.fields(node, name, ("env", "file", "keyring"))
    for kind in ("env", "file", "keyring"):
        if kind in given:
            place = shape.text(given[kind], f"{name}.{kind}")
            return Secret(kind, str(folder / place) if kind == "file" else place)
    return None


def _header(name: str, node: Node, folder: Path, shape: Shape) -> str | Secret:
    if name.lower() in ("authorization", "host", "cookie", "content-length", "transfer-encoding"):
        shape.refuse(node, f"headers: `{name}` is not for you to set; for a token there is `auth`.", "security")
    if node.kind == "scalar":
        return shape.text(node, f"headers.{name}")
    return _secret(node, f"headers.{name}", folder, shape) or ""


def _origins(node: Node, name: str, shape: Shape) -> tuple[str, ...]:
    return tuple(_origin(child, name, shape) for child in shape.items(node, name))


def _origin(node: Node, name: str, shape: Shape) -> str:
    origin = shape.text(node, name)
    if origin and not is_origin(origin):
        shown = "it" if "@" in origin else f"`{origin}`"  # there a password may stand
        shape.refuse(node, f"{name}: {shown} is no origin such as https://files.example.org (no path, no user).")
    return origin

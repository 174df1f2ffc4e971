"""server.yaml (settings.yaml), where secrets are kept, and clients made of both."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from fhir_ivig.fhir.secret import Secret
from fhir_ivig.fhir.server import connect, read_server, server_settings
from fhir_ivig.fhir.settings import known_of, presets
from fhir_ivig.issue import IssueError
from fhir_ivig.yamltext import load

CASES = yaml.safe_load(Path(__file__).with_name("settings.yaml").read_text())
SEARCHSET = {"body": '{"resourceType":"Bundle","type":"searchset"}'}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"])
def test_settings(case: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "server.yaml"
    file.write_text(case["text"])
    if "codes" in case:
        with pytest.raises(IssueError) as raised:
            server_settings(file)
        assert "canary" not in str(raised.value)
        assert sorted(issue.code for issue in raised.value.issues) == sorted(case["codes"])
        assert [issue.row for issue in raised.value.issues] == case["rows"]
        return
    found = server_settings(file)
    assert found
    shown = {name: str(getattr(found, name)).replace(str(tmp_path), "{folder}") for name in case["is"]}
    assert shown == case["is"]


def test_the_block_of_another_file() -> None:
    node = load("study: x\nserver:\n  base: https://host.example/fhir\n  speed: 1\n")
    with pytest.raises(IssueError) as raised:
        read_server(node.value["server"], Path("trial/study.yaml"))
    assert [(issue.file, issue.row) for issue in raised.value.issues] == [("study.yaml", 4)]


@pytest.mark.parametrize("preset", presets())
def test_presets_are_settings(preset: str, tmp_path: Path) -> None:
    """Each fact of a preset may stand in a server.yaml, so it is checked as those are."""
    known = presets()[preset]
    assert {"update_create", "conditional_create", "if_match", "title"} <= known.keys()
    assert {known[name] for name in ("update_create", "conditional_create", "if_match")} <= {"yes", "no", "unknown"}
    limits = ("batch_entries", "batch_bytes", "connections", "page")
    given: dict[str, Any] = {name: known[name] for name in ("bundle", "strategy", "strict", "gzip_requests")}
    given |= {"base": "https://host.example", "limits": {name: known[name] for name in limits}}
    found = read_server(load(yaml.safe_dump(given).replace("'", "")), tmp_path / "server.yaml")
    assert all(getattr(found, name) == value for name, value in known_of(preset).items() if name != "preset")
    assert len(known) == 12 + ("software" in known)


def test_what_is_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_IVIG_TOKEN", "canary")
    found = server_settings("https://host.example/fhir", "hapi")
    assert found
    assert (found.preset, found.auth) == ("hapi", Secret("env", "FHIR_IVIG_TOKEN"))
    assert "canary" not in repr(found)
    assert "canary" not in repr(vars(connect(found)))
    assert server_settings(str(tmp_path / "outbox")) is None
    for wrong in ("", " ", "ftp://host.example", "https://host.example?a=b", str(tmp_path / "none.yaml")):
        with pytest.raises(IssueError):
            server_settings(wrong)
    with pytest.raises(IssueError, match="no preset"):
        server_settings("https://host.example/fhir", "happy")
    (tmp_path / "study.yaml").write_text("study: trial\nbase: https://host.example\ntables: {}\n")
    with pytest.raises(IssueError, match="names no server"):
        server_settings(str(tmp_path / "study.yaml"))


def test_a_partner_feed(scripted: Any, tmp_path: Path) -> None:
    """As a large cancer centre asks for it: a header, lower-case paths, a parameter on each search."""
    server = scripted([SEARCHSET])
    (tmp_path / "partner").write_text("P-77\n")
    (tmp_path / "partner").chmod(0o600)
    (tmp_path / "server.yaml").write_text(
        f"base: {server.base}\nheaders: {{x-partnerid: {{file: partner}}}}\nparameters: {{researchstudy: HARA}}\n"
        "lower_case_paths: yes\nstrict: no\n"
    )
    settings = server_settings(tmp_path / "server.yaml")
    assert settings
    client = connect(settings)
    list(client.search("Observation", {"code": "1"}))
    method, path, headers, body = server.requests[0]
    assert (method, path, body) == ("POST", "/fhir/observation/_search", b"researchstudy=HARA&code=1")
    assert headers["x-partnerid"] == "P-77"
    assert "Prefer" not in headers


def test_a_token_goes_with_the_rest_of_the_settings(scripted: Any, tmp_path: Path) -> None:
    server = scripted([SEARCHSET])
    (tmp_path / "server.yaml").write_text(
        f"base: {server.base}\nheaders: {{x-partnerid: P-77}}\nauth: {{bearer: {{env: NOT_SET_PLACE}}}}\n"
    )
    settings = server_settings(tmp_path / "server.yaml")
    assert settings
    list(connect(settings, "t0ken").search("Observation"))
    headers = server.requests[0][2]
    assert (headers["Authorization"], headers["x-partnerid"]) == ("Bearer t0ken", "P-77")


def test_searching_by_get_is_a_choice(scripted: Any, tmp_path: Path) -> None:
    server = scripted([SEARCHSET])
    (tmp_path / "server.yaml").write_text(f"base: {server.base}\nsearch_by_get: yes\n")
    settings = server_settings(tmp_path / "server.yaml")
    assert settings
    list(connect(settings).search("Observation", {"code": "a|b"}))
    assert server.requests[0][:2] == ("GET", "/fhir/Observation?code=a%7Cb")


def test_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_PLACE", "canary")
    assert Secret("env", "CANARY_PLACE").read() == "canary"
    file = tmp_path / "secret"
    file.write_text("canary\n")
    file.chmod(0o600)
    assert Secret("file", str(file)).read() == "canary"
    stored = SimpleNamespace(get_password=lambda service, user: {("a/b", "u"): "canary"}.get((service, user)))
    monkeypatch.setitem(sys.modules, "keyring", stored)
    assert Secret("keyring", "a/b/u").read() == "canary"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read(mode: int, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("canary")
    file.chmod(mode)
    with pytest.raises(IssueError, match="chmod 600") as raised:
        Secret("file", str(file)).read()
    assert "canary" not in str(raised.value)


def test_secrets_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPTY_PLACE", " ")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "binary").chmod(0o600)
    monkeypatch.setitem(sys.modules, "keyring", None)
    files = [Secret("file", str(tmp_path / name)) for name in ("none", "binary", "")]
    for secret in (Secret("env", "NOT_SET_PLACE"), Secret("env", "EMPTY_PLACE"), Secret("keyring", "a/b"), *files):
        with pytest.raises(IssueError):
            secret.read()

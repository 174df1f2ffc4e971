"""A requests session that takes nothing from the environment and trusts whom it is told to, and nobody else."""

from __future__ import annotations

import ssl
from http.cookiejar import DefaultCookiePolicy
from typing import Any

from requests import Session

from fhir_ivig.fhir.hurried import HurriedAdapter


class _Adapter(HurriedAdapter):
    """Uses a TLS context of ours, which verifies; requests would add the certificates that it brings itself."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(max_retries=0)

    def init_poolmanager(self, *sizes: Any, **rest: Any) -> None:
        super().init_poolmanager(*sizes, **rest, ssl_context=self._context)

    def proxy_manager_for(self, proxy: str, **rest: Any) -> Any:
        return super().proxy_manager_for(proxy, **rest, ssl_context=self._context)

    def cert_verify(self, *given: Any) -> None:
        """Nothing to add: the context knows whom to trust, and whom it shows."""


def new_session(context: ssl.SSLContext | None, proxy: str | None = None) -> Session:
    """A session without proxies, passwords, cookies or headers that nobody asked for: for https with a
    `context` (through the `proxy`, encrypted from end to end), for nothing but http without one."""
    session = Session()
    session.trust_env = False
    session.mount("http://", HurriedAdapter(max_retries=0))
    session.headers.clear()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # they would go to every port of a host
    if proxy:
        session.proxies = {"https": proxy}
    if context:
        session.mount("https://", _Adapter(context))
    else:
        del session.adapters["https://"]
    return session

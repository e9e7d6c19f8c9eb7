"""A small OpenID provider on loopback: discovery, keys, codes for whoever is signed in there, and signed tokens."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from report.serving import listening

CLIENT_ID, CLIENT_SECRET = "rollcall-client", "rollcall-secret"


@dataclass
class Provider:
    """What it says of whoever comes, and what was asked of it.

    claims: of the person who is signed in there; they go into the token over the usual ones. key: it signs with, under
    this number.
    gives_nonce: whether a token names the nonce. path: of its issuer, after its address. told: what it published, each
    time. on_asked: is called whenever Rollcall asks it something.
    """

    path: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(init=False)
    number: str = "1"
    signs_with: RSAKey | None = None
    algorithm: str = "RS256"
    gives_nonce: bool = True
    issuer: str = ""
    address: str = ""
    exchanged: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    on_asked: Callable[[], object] = bool
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _first_key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "1"}))

    def begin(self, claims: dict[str, Any], *, gives_nonce: bool = True) -> None:
        """Forget whoever came, and vouch for a person with these claims, as a provider should."""
        self.claims, self.gives_nonce, self.signs_with, self.algorithm = claims, gives_nonce, None, "RS256"
        self.issuer = self.address + self.path
        self.key, self.number, self.on_asked = self._first_key, "1", bool
        self.exchanged.clear()
        self.told.clear()
        self._codes.clear()

    def change_key(self, number: str) -> None:
        """Sign with another key from now on."""
        self.key, self.number = RSAKey.generate_key(2048, {"kid": number}), number

    def app(self) -> Starlette:
        """Its addresses."""
        return Starlette(
            routes=[
                Route(f"{self.path}/.well-known/openid-configuration", self._discovery),
                Route("/keys", self._keys),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    def _discovery(self, _request: Request) -> Response:
        self.told.append("discovery")
        self.on_asked()
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.address}/authorize",
                "token_endpoint": f"{self.address}/token",
                "jwks_uri": f"{self.address}/keys",
            }
        )

    def _keys(self, _request: Request) -> Response:
        self.told.append("keys")
        self.on_asked()
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    def _authorize(self, request: Request) -> Response:
        query = dict(request.query_params)
        if query["client_id"] != CLIENT_ID or query["code_challenge_method"] != "S256":
            return Response(status_code=400)
        code = secrets.token_urlsafe()
        self._codes[code] = query
        return RedirectResponse(f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}")

    async def _token(self, request: Request) -> Response:
        self.on_asked()
        form = {name: str(value) for name, value in (await request.form()).items()}
        self.exchanged.append(form["code"])
        asked = self._codes.pop(form["code"], None)
        given = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if (
            asked is None
            or request.headers.get("authorization") != f"Basic {given}"
            or asked["redirect_uri"] != form["redirect_uri"]
            or asked["code_challenge"] != base64.urlsafe_b64encode(digest).decode().rstrip("=")
        ):
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        now = int(time.time())
        usual = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "sub": "person-1"}
        nonce = {"nonce": asked["nonce"]} if self.gives_nonce else {}
        claims = {**usual, **nonce, **self.claims}
        key: Any = self.signs_with or self.key
        signed = jwt.encode({"alg": self.algorithm, "kid": self.number}, claims, key, algorithms=[self.algorithm])
        return JSONResponse({"access_token": "opaque", "token_type": "Bearer", "id_token": signed})


@contextmanager
def serving(provider: Provider) -> Iterator[Provider]:
    """Serve it in a thread on a free port, as long as the `with` lasts."""
    here = listening("127.0.0.1", 0)
    provider.address = f"http://127.0.0.1:{here.getsockname()[1]}"
    provider.begin({})
    server = uvicorn.Server(uvicorn.Config(provider.app(), log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [here]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.02)
        yield provider
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        here.close()

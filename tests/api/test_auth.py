"""Tokens: who gets in, who does not, and why."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from litestar import get

from api.app import create_app
from api.auth import Viewer, issue_token, require_admin
from api.settings import Settings
from tests.api.conftest import Api, Catalogue, Token, new_id, serving

PATH = "/api/v1/reels"


def claims(**changes: Any) -> dict[str, Any]:
    """Good claims, with changes; None takes one away."""
    good = {"sub": str(new_id()), "exp": int(time.time()) + 60}
    return {name: value for name, value in (good | changes).items() if value is not None}


def without_signature(payload: dict[str, Any], algorithm: str) -> str:
    """A token that claims to need no signature."""
    parts = [{"alg": algorithm, "typ": "JWT"}, payload]
    return (
        ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
            for part in parts
        )
        + "."
    )


def signed(payload: dict[str, Any], key: str, algorithm: str = "HS256") -> str:
    return jwt.encode(payload, key, algorithm)


BAD: dict[str, Callable[[str], str | None]] = {
    "none": lambda key: None,
    "empty": lambda key: "Bearer ",
    "other scheme": lambda key: f"Basic {signed(claims(), key)}",
    "no scheme": lambda key: signed(claims(), key),
    "not a token": lambda key: "Bearer abc.def.ghi",
    "bad signature": lambda key: f"Bearer {signed(claims(), 'x' * 40)}",
    "alg none": lambda key: f"Bearer {without_signature(claims(), 'none')}",
    "alg nOnE": lambda key: f"Bearer {without_signature(claims(), 'nOnE')}",
    "another algorithm": lambda key: f"Bearer {signed(claims(), key * 2, 'HS512')}",
    "expired": lambda key: f"Bearer {signed(claims(exp=int(time.time()) - 5), key)}",
    "no exp": lambda key: f"Bearer {signed(claims(exp=None), key)}",
    "no sub": lambda key: f"Bearer {signed(claims(sub=None), key)}",
    "sub is a name": lambda key: f"Bearer {signed(claims(sub='alice'), key)}",
    "sub is negative": lambda key: f"Bearer {signed(claims(sub='-1'), key)}",
    "sub is beyond 63 bits": lambda key: f"Bearer {signed(claims(sub=str(2**63)), key)}",
    "sub is a novel": lambda key: f"Bearer {signed(claims(sub='1' * 5_000), key)}",
    "sub is in other digits": lambda key: f"Bearer {signed(claims(sub='٣'), key)}",
    "not yet valid": lambda key: f"Bearer {signed(claims(nbf=int(time.time()) + 60), key)}",
}


@pytest.mark.parametrize("case", BAD)
async def test_refused(api: Api, settings: Settings, case: str) -> None:
    header = BAD[case](settings.jwt_secret)
    response = await api.get(PATH, headers={"Authorization": header} if header is not None else {})
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"].endswith("/problems/unauthenticated")


@pytest.mark.parametrize(
    "changes", [{}, {"sub": 42}, {"iat": int(time.time())}, {"aud": "any", "iss": "any"}]
)
async def test_let_in(api: Api, settings: Settings, changes: dict[str, Any]) -> None:
    token = signed(claims(**changes), settings.jwt_secret)
    response = await api.get(PATH, headers={"Authorization": f"bearer {token}"})
    assert response.status_code == 200


async def test_a_token_that_expires_is_refused_although_it_was_known(
    api: Api, settings: Settings
) -> None:
    headers = {
        "Authorization": f"Bearer {signed(claims(exp=int(time.time()) + 2), settings.jwt_secret)}"
    }
    path = "/api/v1/reels/trending"
    assert (await api.get(path, headers=headers)).status_code == 200
    await asyncio.sleep(2.1)
    assert (await api.get(path, headers=headers)).status_code == 401


async def test_rs256(settings: Settings, catalogue: Catalogue) -> None:
    """A public key lets its own tokens in, and is no shared secret."""
    private = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    secret_pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    public_pem = (
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    ours = msgspec.structs.replace(settings, jwt_secret="", jwt_public_key=public_pem)
    good = signed(claims(), secret_pem, "RS256")
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT"}, claims())
    )
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    confused = b".".join(
        [head, body, base64.urlsafe_b64encode(mac.sign(head + b"." + body, public_pem.encode()))]
    ).decode()
    async with serving(ours) as api:
        for token, status in ((good, 200), (signed(claims(), "x" * 40), 401), (confused, 401)):
            response = await api.get(PATH, headers={"Authorization": f"Bearer {token}"})
            assert response.status_code == status
    with pytest.raises(ValueError, match="issued elsewhere"):
        issue_token(ours, user_id=1, ttl_seconds=60)

    both = msgspec.structs.replace(settings, jwt_public_key=public_pem)
    async with serving(both) as api:
        for token in (good, signed(claims(), settings.jwt_secret)):
            response = await api.get(PATH, headers={"Authorization": f"Bearer {token}"})
            assert response.status_code == 200


async def test_admin(settings: Settings, bearer: Token) -> None:
    @get("/api/v1/admin/only", guards=[require_admin])
    async def only() -> str:
        return "in"

    app = create_app(settings)
    app.register(only)
    async with serving(settings, app) as api:
        refused = await api.get("/api/v1/admin/only", headers=bearer(1))
        assert refused.status_code == 403
        assert refused.json()["type"].endswith("/problems/forbidden")
        assert (await api.get("/api/v1/admin/only")).status_code == 401
        admin = await api.get("/api/v1/admin/only", headers=bearer(1, is_admin=True))
        assert admin.status_code == 200


def test_a_viewer_is_what_the_token_says(settings: Settings) -> None:
    token = issue_token(settings, user_id=2**63 - 1, ttl_seconds=60, is_admin=True)
    decoded = jwt.decode(token, settings.jwt_secret, algorithms=["HS256"])
    assert (decoded["sub"], decoded["role"]) == (str(2**63 - 1), "admin")
    assert Viewer(1) == Viewer(1, is_admin=False)

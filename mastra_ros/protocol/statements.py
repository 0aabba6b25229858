"""What a device states and signs with its own key: a compact JWS (RFC 7515) of a JSON object.

Its type is not that of a token, so that none lets anybody in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jwt

from ..errors import AuthenticationError
from .tokens import PrivateKey, PublicKey, algorithm_of

TYPE = "mastra-statement"
CHARACTERS_MAX = 65_536


def sign_statement(device: str, key: PrivateKey, content: Mapping[str, Any]) -> str:
    """The statement, and whose it is."""
    payload = json.dumps(dict(content), sort_keys=True).encode()
    headers = {"kid": device, "typ": TYPE}
    return jwt.api_jws.encode(payload, key, algorithm=algorithm_of(key), headers=headers)


def read_statement(statement: str, keys: Mapping[str, PublicKey]) -> tuple[str, dict[str, Any]]:
    """The device that signed it, and what it states; AuthenticationError where that is not so."""
    if type(statement) is not str or len(statement) > CHARACTERS_MAX:
        raise AuthenticationError(f"statement: expected a text of at most {CHARACTERS_MAX}")
    try:
        header = jwt.api_jws.get_unverified_header(statement)
        device = str(header.get("kid", ""))
        key = keys.get(device)
        if header.get("typ") != TYPE or key is None:
            raise AuthenticationError("statement: of an unknown device or another type")
        payload = jwt.api_jws.decode(statement, key, algorithms=[algorithm_of(key)])
        content = json.loads(payload)
    except (jwt.PyJWTError, ValueError) as error:
        raise AuthenticationError(f"statement: refused ({type(error).__name__})") from None
    if type(content) is not dict:
        raise AuthenticationError("statement: expected an object")
    return device, content

"""Who is logged in: signed cookies (HMAC-SHA256 by itsdangerous) around random names of sessions.

A session lives on the server alone and ends when it was idle for too long, when it is too old, at
log-out, and when its person is taken out of the file, gets another role or another password.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from itsdangerous import BadSignature, Signer

from .people import People, Person

COOKIE = "mastra_session"
IDLE_S, AGE_S = 3600.0, 12 * 3600.0
SESSIONS_MAX = 1000
"""Sessions at once; beyond it the one that was idle for longest ends."""


@dataclass
class _Login:
    person: Person
    mark: str
    begun_s: float
    seen_s: float
    elsewhere: bool = False


class Logins:
    """The open sessions of people; a new key each start, so a restart ends them all."""

    def __init__(
        self,
        people: People,
        *,
        idle_s: float = IDLE_S,
        age_s: float = AGE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._people = people
        self._idle_s = idle_s
        self._age_s = age_s
        self._clock = clock
        self._signer = Signer(secrets.token_bytes(32), salt=b"mastra dashboard")
        self._logins: dict[str, _Login] = {}

    def open(self, person: Person, *, elsewhere: bool = False) -> str:
        """Begin a session; returns the cookie's value.

        elsewhere: a provider says who it is, and the file of people knows nothing of them.
        """
        now_s = self._clock()
        while len(self._logins) >= SESSIONS_MAX:
            del self._logins[min(self._logins, key=lambda one: self._logins[one].seen_s)]
        name = secrets.token_urlsafe(32)
        self._logins[name] = _Login(person, self._people.mark(person.name), now_s, now_s, elsewhere)
        return self._signer.sign(name).decode("ascii")

    def person(self, cookie: str, *, touch: bool = True) -> Person | None:
        """Whose session this cookie is of; None for none, or one that has ended.

        touch: this counts as a sign of life; a page that only listens gives none.
        """
        name = self._name(cookie)
        login = self._logins.get(name)
        if login is None:
            return None
        now_s = self._clock()
        over = now_s - login.seen_s > self._idle_s or now_s - login.begun_s > self._age_s
        if over or not (login.elsewhere or self._still_so(login)):
            del self._logins[name]
            return None
        if touch:
            login.seen_s = now_s
        return login.person

    def _still_so(self, login: _Login) -> bool:
        """Whether the file has this person as when the session began."""
        name = login.person.name
        return self._people.known(name) == login.person and self._people.mark(name) == login.mark

    def close(self, cookie: str) -> None:
        """Log out."""
        self._logins.pop(self._name(cookie), None)

    def _name(self, cookie: str) -> str:
        try:
            return self._signer.unsign(cookie.encode("ascii")).decode("ascii")
        except (BadSignature, UnicodeError):
            return ""

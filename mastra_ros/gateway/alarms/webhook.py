"""Tells alarms to an address of the user's, one after the other, in a thread of its own.

Over HTTPS with a verified certificate; without it only on this machine. What waits is bounded, a
call is tried again with growing pauses, redirections are not followed, and the address, which may
hold a secret, is in no log.
"""

from __future__ import annotations

import http.client
import json
import logging
import ssl
import threading
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

from ...errors import ConfigError
from .states import Alarm

logger = logging.getLogger(__name__)

WAITING_MAX = 256
TRIES = 5
PAUSE_S, PAUSE_MAX_S = 1.0, 30.0
TIMEOUT_S = 5.0
ANSWER_BYTES_MAX = 65_536
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Webhook:
    """POSTs each alarm as JSON: kind, device, state (raised or cleared), text, at_s.

    on_call(outcome): delivered, failed (after all tries) or dropped (too many waited).
    """

    def __init__(
        self,
        url: str,
        *,
        ca: str = "",
        on_call: Callable[[str], None] = lambda _: None,
        pause_s: float = PAUSE_S,
    ) -> None:
        """Raises ConfigError for an address that cannot be one."""
        try:
            parts = urlsplit(url)
            self._port = parts.port
        except ValueError as error:
            raise ConfigError(f"gateway.alarm_webhook: expected an address ({error})") from None
        self._host = parts.hostname or ""
        secure = parts.scheme == "https"
        plain = parts.scheme == "http" and self._host in LOOPBACK
        if not self._host or not (secure or plain):
            raise ConfigError(
                "gateway.alarm_webhook: expected https://HOST/PATH, or http:// on this machine"
            )
        if parts.username or parts.password:
            raise ConfigError("gateway.alarm_webhook: expected no name and password in it")
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            self._tls = ssl.create_default_context(cafile=ca or None) if secure else None
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"gateway.alarm_ca: {ca}: cannot be read: {error}") from error
        self._on_call = on_call
        self._pause_s = pause_s
        self._waiting: deque[Alarm] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="alarms", daemon=True)
        self._thread.start()

    def tell(self, alarm: Alarm) -> None:
        """Queue an alarm; from any thread. Beyond the bound the oldest goes."""
        with self._changed:
            if len(self._waiting) >= WAITING_MAX:
                self._waiting.popleft()
                self._on_call("dropped")
            self._waiting.append(alarm)
            self._changed.notify()

    def close(self) -> None:
        """Tell nothing more; a call under way is waited for."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(2 * TIMEOUT_S)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return
                alarm = self._waiting.popleft()
            self._on_call("delivered" if self._deliver(alarm) else "failed")

    def _deliver(self, alarm: Alarm) -> bool:
        pause_s = self._pause_s
        why = ""
        for number in range(TRIES):
            if number:
                with self._changed:
                    if self._changed.wait_for(lambda: self._stopping, pause_s):
                        return False
                pause_s = min(2 * pause_s, PAUSE_MAX_S)
            status, why = self._post(alarm)
            if 200 <= status < 300:
                return True
            if 300 <= status < 500 and status not in (408, 425, 429):
                break  # it will not be otherwise later
        logger.error(
            "the webhook of alarms did not take %s of %s: %s", alarm.kind, alarm.device, why
        )
        return False

    def _post(self, alarm: Alarm) -> tuple[int, str]:
        """The status, 0 without an answer, and what it was in words without the address."""
        body = json.dumps(alarm.to_plain()).encode()
        if self._tls is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        else:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=TIMEOUT_S, context=self._tls
            )
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", self._path, body, headers)
            answer = connection.getresponse()
            answer.read(ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return 0, type(error).__name__
        finally:
            connection.close()
        return answer.status, f"status {answer.status}"

"""What is secret in an address is never shown, however strange it is."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mastra_ros.redaction import (
    RedactingFormatter,
    redact,
    redact_uri,
    redact_value,
    shown,
)

STRANGE = st.sampled_from(["@", "/", ":", "#", "?", "%", "&", "=", "\\", "é", "密", "☃", "|", ";"])
SECRETS = st.lists(
    st.one_of(STRANGE, st.sampled_from(["Zq", "x9", "%40", "//"])), min_size=1, max_size=8
).map(lambda parts: "hun" + "".join(parts) + "ter")
SCHEMES = st.sampled_from(["rtsp", "rtsps", "http", "https", "wss"])
PLACES = st.sampled_from(
    ["cam", "cam:554/live", "192.168.1.9/Streaming/Channels/101", "[::1]:554/a"]
)


def leaks(secret: str, text: str, harmless: str) -> list[str]:
    """The parts of a secret of three characters that stand in a text, if not `harmless` ones."""
    parts = {secret[n : n + 3] for n in range(len(secret) - 2)}
    return [part for part in parts if part in text and part not in harmless]


@given(SCHEMES, SECRETS, PLACES)
@example("rtsp", "hun@ter", "cam")
@example("rtsp", "hun/ter", "cam")
@example("rtsp", "hun?@ter", "cam")
@example("http", "hun://ter", "cam")
@example("rtsp", "hun#a@b/c?d@eter", "cam")
def test_no_part_of_a_password_before_the_host_is_shown(
    scheme: str, secret: str, place: str
) -> None:
    for written in (secret, quote(secret, safe="")):
        uri = f"{scheme}://admin:{written}@{place}"
        for text in (
            redact_uri(uri),
            redact(uri),
            redact(f"cannot open {uri!r}: refused"),
            redact(f"first line\n{uri}: refused\nlast line"),
            shown(uri),
            json.dumps(redact_value({"why": [uri]}), ensure_ascii=False),
        ):
            assert not leaks(written, text, f"{scheme}://***@{place}"), text
            assert "admin" not in text
            assert f"{scheme}://***" in text


@given(
    SCHEMES,
    SECRETS.filter(lambda secret: "\\" not in secret),
    PLACES,
    st.sampled_from(["pwd", "password", "token", "loginpas", "user", "key", "X-Sig", "a.b"]),
    st.sampled_from(["", "channel=1&", "user=admin&"]),
)
@example("http", "hun@ter", "cam", "pwd", "")
@example("http", "hun&channel=ter", "cam", "pwd", "")
def test_no_part_of_a_password_in_the_query_is_shown(
    scheme: str, secret: str, place: str, name: str, before: str
) -> None:
    uri = f"{scheme}://{place}?{before}{name}={secret}"
    for text in (redact_uri(uri), redact(uri), redact(f"at {uri!r}: no"), redact(f"{uri}: no")):
        assert not leaks(secret, text, f"{scheme}://{place}?{before}{name}"), text


@given(SECRETS)
def test_what_is_redacted_is_not_changed_again(secret: str) -> None:
    for uri in (f"rtsp://u:{secret}@cam/1", f"http://cam/x?a={secret}", f"rtsp://cam/{secret}/1"):
        once = redact_uri(uri)
        assert redact_uri(once) == once
        assert redact(once) == once


@pytest.mark.parametrize(
    ("uri", "kept"),
    [
        ("rtsp://user:secret@camera/1", "rtsp://***@camera/1"),
        (
            "rtsp://camera:554/live?channel=1&subtype=0",
            "rtsp://camera:554/live?channel=1&subtype=0",
        ),
        ("http://camera/snap?channel=1&usr=a&pwd=b", "http://camera/snap?channel=1&usr=***"),
        ("rtsp://10.0.0.9/user=admin&password=b&channel=1.sdp", "rtsp://10.0.0.9/***"),
        ("rtsp://user:forgotten-at", "rtsp://***"),
        ("wss://[fe80::1]:8443/v1/stream", "wss://[fe80::1]:8443/v1/stream"),
        ("u:secret@proxy:3128", "***@proxy:3128"),
        ("folder:/home/me@work/pictures", "folder:/home/me@work/pictures"),
        ("file:///home/me@work/a.mp4", "file:///home/me@work/a.mp4"),
        ("file:rtsp://u:secret@cam/x", "file:rtsp://***@cam/x"),
        ("synthetic:pcb?seed=1", "synthetic:pcb?seed=1"),
        ("rtsp:/u:secret@cam", "***@cam"),
        ("wss://host:port", "wss://host:port"),
    ],
)
def test_the_rest_of_an_address_stays_where_it_is_sure_to_be_no_secret(uri: str, kept: str) -> None:
    assert redact_uri(uri) == kept


@pytest.mark.parametrize(
    "text",
    [
        "source: expected rtsp://…, http(s)://…; got 'x'",
        "gateway: expected wss://host:port, got 'ws://localhost'",
        "wss://127.0.0.1:8443/v1/stream: its certificate is not trusted (self-signed)",
        "see https://docs.ros.org/en/jazzy/, or ask me@example.org",
        "no address at all: a:b@c",
    ],
)
def test_a_text_without_secrets_is_left_alone(text: str) -> None:
    if "me@example" in text:  # an @ after an address could belong to it
        assert "docs.ros.org" not in redact(text)
    else:
        assert redact(text) == text


def test_two_addresses_in_a_line_are_both_kept_apart() -> None:
    text = redact("from rtsp://a:p@one/x to 'rtsp://b:q@two/y', done")
    assert text == "from rtsp://***@one/x to 'rtsp://***@two/y', done"


def test_a_log_hides_the_secret_in_message_arguments_and_chained_errors() -> None:
    formatter = RedactingFormatter("%(message)s")
    try:
        try:
            raise OSError("cannot open rtsp://u:Zq@7x@cam/x")
        except OSError as error:
            raise ValueError("rtsp://u:Zq@7x@cam/x") from error
    except ValueError:
        record = logging.LogRecord(
            "a", logging.ERROR, __file__, 1, "%s", ("rtsp://u:Zq@7x@cam",), sys.exc_info()
        )
    text = formatter.format(record)
    assert text.count("rtsp://***@cam") >= 3
    assert "Zq" not in text
    assert "7x" not in text


@pytest.mark.parametrize("where", ["main", "thread"])
def test_a_traceback_of_a_program_hides_the_secret(where: str) -> None:
    code = (
        "import threading\n"
        "from mastra_ros.startup import prepare\n"
        "prepare()\n"
        "def fail():\n"
        "    address = 'rtsp://u:' + 'hun' + 'ter@cam/x'\n"
        "    try:\n        raise OSError(address)\n"
        "    except OSError as error:\n        raise RuntimeError('for ' + address) from error\n"
    )
    code += "fail()" if where == "main" else "threading.Thread(target=fail).start()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert "RuntimeError: for rtsp://***@cam/x" in done.stderr
    assert "OSError: rtsp://***@cam/x" in done.stderr
    assert "hunter" not in done.stderr

"""What the pages say, in English and Chinese."""

from __future__ import annotations

from typing import Any

LANGUAGES = ("en", "zh")

_TEXTS = {
    "login.title": ("Mastra: log in", "Mastra：登录"),
    "login.name": ("Name", "用户名"),
    "login.password": ("Password", "密码"),
    "login.enter": ("Log in", "登录"),
    "login.wrong": ("Name and password do not fit.", "用户名或密码不正确。"),
    "login.wait": (
        "Too many tries; again in {seconds} s.",
        "尝试次数过多，请在 {seconds} 秒后重试。",
    ),
}


def text(key: str, language: str, **values: Any) -> str:
    """The text of this name; KeyError for one that there is not."""
    found = _TEXTS[key][LANGUAGES.index(language)]
    return found.format(**values) if values else found


def language_of(accepted: str) -> str:
    """The language for an Accept-Language header (RFC 9110, 12.5.4): the first that we have."""
    for entry in accepted.lower().split(","):
        tag = entry.split(";", 1)[0].strip().split("-", 1)[0]
        if tag in LANGUAGES:
            return tag
    return "en"

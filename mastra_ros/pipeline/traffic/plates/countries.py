"""The formats of countries' plates: A stands for a letter, 9 for a digit.

They are those that countries and states issue by law, the newest ones of each and those that are
still about; they were not gathered from any pictures.
"""

from __future__ import annotations

COUNTRIES: dict[str, tuple[str, ...]] = {
    "at": ("A9999A", "A99999A", "AA999A", "AA9999A", "A999AA", "AA999AA", "AA99AA", "A9999AA"),
    "be": ("9AAA999", "AAA999", "999AAA"),
    "bg": ("A9999AA", "AA9999AA"),
    "ch": ("AA9999", "AA99999", "AA999999"),
    "cz": ("9A99999", "9AA9999", "AAA9999"),
    "de": tuple(
        "A" * town + "A" * own + "9" * count
        for town in (1, 2, 3)
        for own in (1, 2)
        for count in (1, 2, 3, 4)
        if 4 <= town + own + count <= 8
    ),
    "es": ("9999AAA",),
    "fr": ("AA999AA",),
    "gb": ("AA99AAA", "A999AAA", "AAA999A"),
    "hu": ("AAA999", "AAAA999"),
    "it": ("AA999AA",),
    "nl": ("AA99AA", "99AAA9", "9AAA99", "AAA99A", "A999AA", "AA999A", "99AAAA"),
    "pl": (
        "AA99999",
        "AA9999A",
        "AAA99999",
        "AAA9999A",
        "AAA99AA",
        "AAA9A99",
        "AAA999A",
        "AAA9AA9",
    ),
    "ro": ("AA99AAA", "A999AAA"),
    "se": ("AAA999", "AAA99A"),
    "sk": ("AA999AA",),
    "us": (
        # Two groups of three or four: most states.
        *("AAA999", "999AAA", "AAA9999", "9999AAA", "AAAA99", "99AAA9", "9A9AAA", "9AAA999"),
        # A letter or two among the digits of these, or the other way round.
        *("AA9A9A", "AA9A999", "A9A999", "A99AAA", "A999AA", "A9999A", "AAA99A", "AAA9A9"),
        *("9AA999", "9AA9999", "9AAA99", "999AA9", "99A999", "999A99", "9A9999", "99A9AA"),
        # Digits with a prefix or suffix, by county or for trucks.
        *("AA999", "AA9999", "AA99999", "A99999", "A999999", "999A", "999AA", "9999AA"),
        *("9A99999", "99999A9", "A99999A", "999999A", "999A999", "AAA99A9", "A9AAA"),
        *("99999", "999999", "9999999"),
    ),
}

"""Trouble that comes back is told once a kind and minute, on one line, however often it comes."""

from __future__ import annotations

from mastra_ros.bridge.news import KINDS_MAX, MINUTE_NS, TEXT_MAX, News


def test_what_differs_in_numbers_alone_is_told_once_a_minute() -> None:
    news = News()
    told = [news.line(f"the gateway is silent for {n} ms", n) for n in range(1000)]
    assert told == ["the gateway is silent for 0 ms"] + [""] * 999
    again = news.line("the gateway is silent for 7 ms", MINUTE_NS)
    assert again == "the gateway is silent for 7 ms (999 more since it was told last)"


def test_another_kind_is_told_at_once_and_the_first_is_not_told_again_for_it() -> None:
    news = News()
    assert [bool(news.line(text, 0)) for text in ("a", "b", "a", "b")] == [True, True, False, False]


def test_what_may_come_several_times_comes_so_often() -> None:
    news = News(times=3)
    assert [bool(news.line("up", n)) for n in range(5)] == [True, True, True, False, False]


def test_whoever_invents_new_kinds_gets_no_more_lines_than_there_are_kinds() -> None:
    news = News()
    names = ["".join(chr(97 + int(digit)) for digit in str(n)) for n in range(5000)]
    lines = [line for name in names if (line := news.line(name, 0))]
    assert len(lines) == KINDS_MAX
    assert news.line("a kind of the next minute", MINUTE_NS)


def test_a_line_stays_one_and_is_bounded() -> None:
    line = News().line("refused\nERROR forged\x1b[2J\u2028\u202e" + "x" * 10_000, 0)
    assert "\n" not in line
    assert "\x1b" not in line
    assert "\u2028" not in line
    assert "\u202e" not in line
    assert len(line) < TEXT_MAX + 100

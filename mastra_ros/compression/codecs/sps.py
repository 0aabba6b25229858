"""How many pictures an H.264 stream makes its decoder keep (ITU-T H.264, 7.3.2.1.1 and 9.1)."""

from __future__ import annotations

from ...errors import CodecError

REFERENCES_MAX = 4
"""Encoders of low delay ask for one; the format allows 16, which cost memory for nothing."""

_WITH_CHROMA = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
"""Profiles whose sets say how colours are kept."""
_BYTES_READ = 64


class _Bits:
    """Reads the bits of a unit without the bytes that prevent false starts."""

    def __init__(self, unit: bytes) -> None:
        data = unit.replace(b"\x00\x00\x03", b"\x00\x00")
        self._bits = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        """The next so many bits."""
        self._left -= count
        if self._left < 0:
            raise CodecError("h264: a parameter set is cut short")
        return self._bits >> self._left & ((1 << count) - 1)

    def golomb(self) -> int:
        """An unsigned number of variable length."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 31:
                raise CodecError("h264: a parameter set is damaged")
        return (1 << zeros) - 1 + self.take(zeros)


def check_references(unit: bytes) -> None:
    """CodecError where a sequence parameter set (without its first byte) asks for too much."""
    bits = _Bits(unit[:_BYTES_READ])
    profile = bits.take(8)
    bits.take(16)  # constraints, level
    bits.golomb()  # id
    if profile in _WITH_CHROMA:
        if bits.golomb() != 1:
            raise CodecError("h264: expected 4:2:0")
        if (bits.golomb(), bits.golomb()) != (0, 0):
            raise CodecError("h264: expected 8 bits")
        if bits.take(2):
            raise CodecError("h264: a bypass or scaling matrices are not taken")
    bits.golomb()  # frame numbers
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order == 1:
        raise CodecError("h264: pictures ordered by type 1 are not taken")
    found = bits.golomb()
    if found > REFERENCES_MAX:
        raise CodecError(f"h264: expected at most {REFERENCES_MAX} references, got {found}")

"""Which features of a split model may leave: pictures can be rebuilt of those of a shallow cut."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import PrivacyConfig
from ..errors import MastraError
from ..inference import load_bundle
from .rebuilt import why_not


@dataclass(frozen=True)
class MeasuredCut:
    """The cut of a bundle of this device: which, and why its features may not leave, if so."""

    cut: str = ""
    pair: str = ""
    refusal: str = ""

    @classmethod
    def of(cls, bundle: str) -> MeasuredCut:
        """As the bundle says; one that cannot be read lets nothing out."""
        try:
            loaded = load_bundle(bundle)
        except MastraError as error:
            return cls(refusal=str(error))
        split = loaded.split
        if split is None:
            return cls(refusal=f"bundle {loaded.name} is not split")
        refusal = why_not(split.measurements, loaded.part("head").sha256)
        return cls(split.cut, split.pair, refusal and f"cut {split.cut!r}: {refusal}")


class FeatureRule:
    """Decides by the parameters. The bundle of `measured` is read once, when it is first needed:
    what is later put in its place, as by a roll-out, counts for nothing."""

    def __init__(self, config: PrivacyConfig) -> None:
        self._config = config
        self._measured: MeasuredCut | None = None

    def refusal(self, cut: str = "", pair: str = "") -> str:
        """Why features at this cut of this head may not leave, or none may; empty if they may."""
        config = self._config
        if config.mode == "off" or config.features == "allow":
            return ""
        if config.features == "depth":
            fits = not cut or cut in config.features_cuts
            return "" if fits else f"privacy.features_cuts does not name {cut!r}"
        if config.features != "measured":
            return (
                f"a picture could be rebuilt of them, and privacy.features says {config.features}"
            )
        if self._measured is None:
            self._measured = MeasuredCut.of(config.features_bundle)
        return decide(self._measured, cut, pair)


def decide(measured: MeasuredCut, cut: str, pair: str) -> str:
    """Why features may not leave by what was measured; without a cut: why none may."""
    if measured.refusal or not cut:
        return measured.refusal
    if not pair or (cut, pair) != (measured.cut, measured.pair):
        return (
            f"measured was cut {measured.cut!r} of head {measured.pair}, and these are of "
            f"{cut!r} of {pair or 'another head'}"
        )
    return ""

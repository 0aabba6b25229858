"""The stages and their parameters."""

from __future__ import annotations

from .bridge import BridgeConfig
from .camera import CameraConfig
from .compression import CompressionConfig
from .factory import FactoryConfig
from .gateway import GatewayConfig
from .inference import InferenceConfig
from .parameter import NodeConfig
from .privacy import PrivacyConfig
from .scheduling import SchedulingConfig
from .traffic import TrafficConfig
from .ultrasound import ProbeConfig, UltrasoundConfig

STAGES: dict[str, type[NodeConfig]] = {
    "camera": CameraConfig,
    "inference": InferenceConfig,
    "scheduling": SchedulingConfig,
    "privacy": PrivacyConfig,
    "compression": CompressionConfig,
    "bridge": BridgeConfig,
    "pipeline": FactoryConfig,
    "probe": ProbeConfig,
    "ultrasound": UltrasoundConfig,
    "traffic": TrafficConfig,
    "gateway": GatewayConfig,
}
"""The config of each stage, by the name that the node and the parameter file use."""

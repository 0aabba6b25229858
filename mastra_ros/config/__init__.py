"""Every parameter of every stage, declared once: a file a stage, all of them in stages.py.

The ROS declaration (description, range), the check of parameter files and of
`--set stage.parameter=value`, and the table in the docs are all made from these classes.
A parameter is `parameter(default, doc, …)`; its type is that of the annotation: bool, int,
float, str or tuple[str, ...]. `live=True` marks what may change while the node is active.
"""

from .bridge import BridgeConfig
from .camera import CameraConfig
from .casting import CastingConfig
from .compression import CompressionConfig
from .factory import FactoryConfig
from .gateway import GatewayConfig
from .inference import InferenceConfig
from .own_files import OWN_FILES, read_own_file
from .parameter import NodeConfig, Parameter, build, parameter, parameters_of
from .privacy import PrivacyConfig
from .remote import REMOTE_STAGES, changed_live, check_remote, remote_parameter, remote_parameters
from .scheduling import SchedulingConfig
from .stages import STAGES
from .traffic import TrafficConfig
from .ultrasound import ProbeConfig, UltrasoundConfig
from .volume import VolumeConfig

__all__ = [
    "OWN_FILES",
    "REMOTE_STAGES",
    "STAGES",
    "BridgeConfig",
    "CameraConfig",
    "CastingConfig",
    "CompressionConfig",
    "FactoryConfig",
    "GatewayConfig",
    "InferenceConfig",
    "NodeConfig",
    "Parameter",
    "PrivacyConfig",
    "ProbeConfig",
    "SchedulingConfig",
    "TrafficConfig",
    "UltrasoundConfig",
    "VolumeConfig",
    "build",
    "changed_live",
    "check_remote",
    "parameter",
    "parameters_of",
    "read_own_file",
    "remote_parameter",
    "remote_parameters",
]

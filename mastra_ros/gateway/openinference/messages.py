"""The messages of the protocol over gRPC, as KServe and Triton number their fields.

https://github.com/kserve/open-inference-protocol (open_inference_grpc.proto) and Triton's
grpc_service.proto, model_config.proto. They are made here, in a pool of their own, so that the
same names that a client's package registers in this process do no harm.
"""

from __future__ import annotations

from functools import cache
from typing import Any

PACKAGE = "inference"
SERVICE = f"/{PACKAGE}.GRPCInferenceService"

FIELDS: dict[str, str] = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "live=1:bool",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "ready=1:bool",
    "ModelReadyRequest": "name=1:string version=2:string",
    "ModelReadyResponse": "ready=1:bool",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "name=1:string version=2:string extensions=3:string*",
    "ModelMetadataRequest": "name=1:string version=2:string",
    "TensorMetadata": "name=1:string datatype=2:string shape=3:int64*",
    "ModelMetadataResponse": "name=1:string versions=2:string* platform=3:string "
    "inputs=4:TensorMetadata* outputs=5:TensorMetadata*",
    "InferParameter": "bool_param=1:bool int64_param=2:int64 string_param=3:string "
    "double_param=4:double uint64_param=5:uint64",
    "Parameter": "key=1:string value=2:InferParameter",
    "InferTensorContents": "bool_contents=1:bool* int_contents=2:int32* int64_contents=3:int64* "
    "uint_contents=4:uint32* uint64_contents=5:uint64* fp32_contents=6:float* "
    "fp64_contents=7:double* bytes_contents=8:bytes*",
    "InferTensor": "name=1:string datatype=2:string shape=3:int64* parameters=4:Parameter* "
    "contents=5:InferTensorContents",
    "InferRequestedOutputTensor": "name=1:string parameters=2:Parameter*",
    "ModelInferRequest": "model_name=1:string model_version=2:string id=3:string "
    "parameters=4:Parameter* inputs=5:InferTensor* outputs=6:InferRequestedOutputTensor* "
    "raw_input_contents=7:bytes*",
    "ModelInferResponse": "model_name=1:string model_version=2:string id=3:string "
    "parameters=4:Parameter* outputs=5:InferTensor* raw_output_contents=6:bytes*",
    "ModelConfigRequest": "name=1:string version=2:string",
    "ModelInput": "name=1:string data_type=2:int32 dims=4:int64*",
    "ModelOutput": "name=1:string data_type=2:int32 dims=3:int64*",
    "ModelConfig": "name=1:string platform=2:string max_batch_size=4:int32 input=5:ModelInput* "
    "output=6:ModelOutput* backend=17:string",
    "ModelConfigResponse": "config=1:ModelConfig",
    "RepositoryIndexRequest": "repository_name=1:string ready=2:bool",
    "ModelIndex": "name=1:string version=2:string state=3:string reason=4:string",
    "RepositoryIndexResponse": "models=1:ModelIndex*",
    "ModelStatisticsRequest": "name=1:string version=2:string",
    "StatisticDuration": "count=1:uint64 ns=2:uint64",
    "InferStatistics": "success=1:StatisticDuration fail=2:StatisticDuration "
    "queue=3:StatisticDuration compute_input=4:StatisticDuration "
    "compute_infer=5:StatisticDuration compute_output=6:StatisticDuration "
    "cache_hit=7:StatisticDuration cache_miss=8:StatisticDuration",
    "InferBatchStatistics": "batch_size=1:uint64 compute_input=2:StatisticDuration "
    "compute_infer=3:StatisticDuration compute_output=4:StatisticDuration",
    "ModelStatistics": "name=1:string version=2:string last_inference=3:uint64 "
    "inference_count=4:uint64 execution_count=5:uint64 inference_stats=6:InferStatistics "
    "batch_stats=7:InferBatchStatistics*",
    "ModelStatisticsResponse": "model_stats=1:ModelStatistics*",
}
"""`name=number:type`, with a * where there may be several. What a peer sends beyond is skipped."""

DATA_TYPES = (
    *("TYPE_INVALID", "TYPE_BOOL", "TYPE_UINT8", "TYPE_UINT16", "TYPE_UINT32", "TYPE_UINT64"),
    *("TYPE_INT8", "TYPE_INT16", "TYPE_INT32", "TYPE_INT64", "TYPE_FP16", "TYPE_FP32"),
    *("TYPE_FP64", "TYPE_STRING", "TYPE_BF16"),
)
"""Numbers of a configuration's `data_type`."""

CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Where the values of a datatype stand, unless they are raw; FP16 has no other way."""


@cache
def message(name: str) -> Any:
    """The class of a message. Needs the package protobuf."""
    from google.protobuf.message_factory import GetMessageClass

    return GetMessageClass(_pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))


@cache
def _pool() -> Any:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
    from google.protobuf.descriptor_pool import DescriptorPool

    file = FileDescriptorProto(name="open_inference.proto", package=PACKAGE, syntax="proto3")
    for name, text in FIELDS.items():
        made = file.message_type.add(name=name)
        for entry in text.split():
            field, _, kind = entry.partition(":")
            key, _, number = field.partition("=")
            several, kind = kind.endswith("*"), kind.rstrip("*")
            proto = FieldDescriptorProto(name=key, number=int(number))
            proto.label = (
                FieldDescriptorProto.LABEL_REPEATED
                if several
                else FieldDescriptorProto.LABEL_OPTIONAL
            )
            if kind in FIELDS:
                proto.type = FieldDescriptorProto.TYPE_MESSAGE
                proto.type_name = f".{PACKAGE}.{kind}"
            else:
                proto.type = getattr(FieldDescriptorProto, f"TYPE_{kind.upper()}")
            made.field.append(proto)
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool

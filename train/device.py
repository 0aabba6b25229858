"""Where networks are trained: seeds and how a GPU computes."""

from __future__ import annotations

import torch


def prepared(device: str, seed: int, *, search: bool = True) -> bool:
    """Seed, and let a GPU compute quickly; True where it is one.

    search: let cuDNN try its kernels, which pays where pictures keep their size.
    """
    cuda = device.startswith("cuda")
    torch.manual_seed(seed)
    if cuda:
        torch.backends.cudnn.benchmark = search
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    return cuda

"""One process or several: starting local ones, and what training needs of torch.distributed."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from trm.devices import pick_device
from trm.errors import TrmError
from trm.launch import launched
from trm.remarks import LAUNCHED


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


@contextmanager
def joined() -> Iterator[torch.device]:
    """Within it, this process is a member of the process group that torchrun has set up, if any. -> its device

    Raises:
        BadInput: the environment asks for a process group or a device that cannot be.
        TrmError: the other processes cannot be reached.
    """
    process = launched()
    device = pick_device(process.local_rank if process else 0)
    if process is None or dist.is_initialized():
        yield device
        return
    try:
        # Counts are summed on the CPU, even where the gradients are on a GPU.
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    except (OSError, RuntimeError, ValueError) as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise TrmError(f"cannot join the other processes at {where}: {str(error).splitlines()[0]}") from None
    try:
        yield device
        dist.barrier()  # a rank that leaves early would break the connections of the others
    finally:
        dist.destroy_process_group()


def gathered(tensor: Tensor) -> Tensor:
    """The rows of all ranks, in the order of the ranks. [rows, ...] -> [world * rows, ...]"""
    if world() == 1:
        return tensor
    plain = tensor.to(torch.uint8) if tensor.dtype == torch.bool else tensor
    parts = [torch.empty_like(plain) for _ in range(world())]
    dist.all_gather(parts, plain.contiguous())
    return torch.cat(parts).to(tensor.dtype)


def summed(tensor: Tensor) -> Tensor:
    """The sum over ranks, on every rank. Same shape; `tensor` itself is changed."""
    if world() > 1:
        dist.all_reduce(tensor)
    return tensor


def smallest(tensor: Tensor) -> Tensor:
    """The smallest value over ranks, on every rank. Same shape; `tensor` itself is changed."""
    if world() > 1:
        dist.all_reduce(tensor, dist.ReduceOp.MIN)
    return tensor


def launch(processes: int, arguments: list[str]) -> int:
    """Run `trm ARGUMENTS` in `processes` local processes and wait. They print their own errors. -> an exit code"""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # The launcher's tracebacks would bury the one line that says what is wrong.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    os.environ[LAUNCHED] = "1"
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id="trm",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.5,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "trm", *arguments)
    except ChildFailedError as error:
        codes = [failure.exitcode for failure in error.failures.values()]
        return max((code for code in codes if code > 0), default=1)
    except SignalException as error:
        return 128 + error.sigval
    return 0

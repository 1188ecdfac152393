"""Several processes train one network together, on several GPUs or machines; each takes its part of every batch.

``torchrun`` starts the processes and `accelerate` connects them. What makes the result that of one process is a single
operation, the mean over the processes, weighted by their examples: of gradients, of BatchNorm's statistics and of what
is logged. All processes then make the same step, and hold the same weights. Only the first of them writes and prints.
"""

import contextlib
import hashlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from course_utils.errors import CourseError

T = TypeVar("T")


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[bool]:
    """Within this block the processes that ``torchrun`` started train together; a process without others is alone.

    Args:
        device: ``cuda`` for one GPU a process (nccl), ``cpu`` for none (gloo).

    Yields:
        Whether this is the first process: the only one whose output is shown.

    Raises:
        CourseError: `accelerate` is not installed (``scale-no-accelerate``).
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield True
        return
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise CourseError(
            "scale-no-accelerate",
            "The package accelerate is not installed.",
            "It connects the processes that torchrun starts; a single process does without it.",
            'Install it with: pip install "accelerate>=1.1"',
        ) from error
    _meet("gloo" if device.type == "cpu" else "nccl")
    processes = PartialState(cpu=device.type == "cpu")
    with contextlib.ExitStack() as stack:
        if processes.is_main_process:
            print(
                f"{processes.num_processes} processes train together; each takes its part of every batch."
            )
        else:
            nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
            stack.enter_context(contextlib.redirect_stderr(nowhere))
        yield processes.is_main_process
    processes.destroy_process_group()


def _meet(backend: str) -> None:
    """Connect the processes of this start; where they meet, the addresses of an earlier start may still be noted."""
    store, rank, count = next(torch.distributed.rendezvous("env://"))
    store = torch.distributed.PrefixStore(
        f"start {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store
    )
    torch.distributed.init_process_group(backend, store=store, rank=rank, world_size=count)


def team() -> "Alone":
    """The processes that train together here: `Together` within `joined`, else `Alone`."""
    distributed = torch.distributed
    return Together() if distributed.is_available() and distributed.is_initialized() else Alone()


def restarted() -> bool:
    """Whether ``torchrun`` has started these processes again after one was lost: they go on, whatever was asked."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"


class Alone:
    """One process, which takes the whole of every batch.

    Attributes:
        count: the number of processes.
        batch: examples in this step's whole batch.
        interrupts: signals that ask a run to save and end.
    """

    count, batch = 1, 0
    interrupts: tuple[signal.Signals, ...] = (signal.SIGINT,)

    def share_of_memory(self, device: torch.device) -> float:
        """The share of a batch that the memory of ``device`` must hold."""
        return 1.0

    @contextlib.contextmanager
    def step(self, index: Tensor, seed: int, number: int) -> Iterator[Tensor]:
        """Within this block one step is taken: yields this process's part of the batch's indices (B,).

        Args:
            index: the whole batch.
            seed: of the run.
            number: of the step.
        """
        self.batch = len(index)
        yield index

    def draw(self, make: Callable[..., Tensor], *shape: int) -> Tensor:
        """Random numbers (B, *shape) for this process's examples of this step, by ``torch.randn`` or the like."""
        return make(self.batch, *shape)

    def join(self, networks: Iterable[nn.Module], settings: Mapping[str, Any]) -> None:
        """From now on the processes hold the same weights, and gradients and BatchNorm are those of the whole batch.

        Raises:
            CourseError: the processes have other settings or other data (``scale-processes-differ``).
        """

    def means(self, values: Mapping[str, float]) -> dict[str, float]:
        """What is logged: means over a part of the batch become means over the whole."""
        return dict(values)

    def any(self, asked: bool) -> bool:
        """Whether any process says yes."""
        return asked

    def first(self, action: Callable[[], T]) -> T:
        """What ``action`` returns in the first process, which alone calls it; its `CourseError` is everybody's."""
        return action()


class Together(Alone):
    """Several processes within `joined`."""

    interrupts = (signal.SIGINT, signal.SIGTERM)  # torchrun passes on what it gets

    def __init__(self) -> None:
        from accelerate import PartialState

        processes = PartialState()
        self.count, self.number, self.device = (
            processes.num_processes,
            processes.process_index,
            processes.device,
        )
        self.weight, self.random = 1 / self.count, torch.Generator()

    def share_of_memory(self, device: torch.device) -> float:  # noqa: D102 (as above)
        here = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if device.type == "cpu" else 1
        return here / self.count

    @contextlib.contextmanager
    def step(self, index: Tensor, seed: int, number: int) -> Iterator[Tensor]:  # noqa: D102
        self.batch, self.weight = (
            len(index),
            len(index.tensor_split(self.count)[self.number]) / len(index),
        )
        # What belongs to an example is drawn from one stream, the same in each process and with one process. What does
        # not (dropout) comes from a stream of this step and process: equal masks in all would be no independent draws.
        self.random.set_state(torch.get_rng_state())
        own = hashlib.sha256(f"{seed} {number} {self.number}".encode()).digest()
        torch.manual_seed(int.from_bytes(own[:8], "big"))
        try:
            yield self._part(index)
        finally:
            torch.set_rng_state(self.random.get_state())

    def draw(self, make: Callable[..., Tensor], *shape: int) -> Tensor:  # noqa: D102
        return self._part(make(self.batch, *shape, generator=self.random))

    def join(self, networks: Iterable[nn.Module], settings: Mapping[str, Any]) -> None:  # noqa: D102
        from accelerate.utils import gather_object

        first, *others = gather_object([settings])
        differ = {
            f"{k}: {first.get(k)!r} and {v!r}"
            for other in others
            for k, v in other.items()
            if first.get(k) != v
        }
        if differ:
            raise CourseError(
                "scale-processes-differ",
                f"The processes have different settings ({'; '.join(sorted(differ))}).",
                "They train one network, so they need the same command, the same data and the same version.",
                "Start the same command on every machine, with COURSE_TIER and the data alike.",
            )
        for network in networks:
            network.load_state_dict(self.first(network.state_dict))
            for parameter in network.parameters():
                if parameter.requires_grad:
                    parameter.register_post_accumulate_grad_hook(self._average_gradient)
            for module in network.modules():
                if isinstance(
                    module, nn.BatchNorm2d
                ):  # the same object, so that parameters and names stay
                    module.__class__ = _BatchNorm
                    setattr(module, "team", self)  # noqa: B010 (a network's own attributes are its parts)

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean over the processes, weighted by their examples in this step; the same bits in each."""
        return self._sum(tensor * self.weight)

    def means(self, values: Mapping[str, float]) -> dict[str, float]:  # noqa: D102
        numbers = torch.tensor(list(values.values()), device=self.device, dtype=torch.float64)
        return dict(zip(values, self.mean(numbers).tolist(), strict=True))

    def any(self, asked: bool) -> bool:  # noqa: D102
        return bool(self._sum(torch.tensor(float(asked), device=self.device)))

    def first(self, action: Callable[[], T]) -> T:  # noqa: D102
        from accelerate.utils import broadcast_object_list

        outcome: list[Any] = [None]
        if self.number == 0:
            try:
                outcome = [action()]
            except CourseError as error:
                outcome = [error]
        with _others_alive():
            broadcast_object_list(outcome)
        if isinstance(outcome[0], CourseError):
            raise outcome[0]
        return outcome[0]

    def _part(self, rows: Tensor) -> Tensor:
        """This process's rows; where there are fewer rows than processes, one that counts for nothing."""
        own = rows.tensor_split(self.count)[self.number]
        return own if len(own) else rows[:1]

    def _average_gradient(self, parameter: Tensor) -> None:
        if parameter.grad is not None:
            parameter.grad.copy_(self.mean(parameter.grad))  # in place: its memory layout stays

    def _sum(self, tensor: Tensor) -> Tensor:
        from accelerate.utils import reduce

        with _others_alive():
            return reduce(
                tensor.contiguous(), "sum"
            )  # a sum goes by places in memory, not by indices


class _Mean(torch.autograd.Function):
    """`Together.mean` with its gradient, which is the same mean: of all losses' gradients instead of all values."""

    @staticmethod
    def forward(context: Any, tensor: Tensor, team: Together) -> Tensor:
        context.team = team
        return team.mean(tensor)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Mean.apply(
            gradient, context.team
        ), None  # by itself, so that gradients of gradients are right, too


class _BatchNorm(nn.BatchNorm2d):
    """BatchNorm with the statistics of the whole batch, on any device, with parts of unequal size.

    (``torch.nn.SyncBatchNorm`` needs a GPU, and gradients of parts that weigh the same.)
    """

    team: Together
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        mean = _Mean.apply(wide.mean((0, 2, 3)), self.team)
        var = _Mean.apply((wide - mean[:, None, None]).square().mean((0, 2, 3)), self.team)
        with torch.no_grad():
            count = self.team.batch * x.shape[2] * x.shape[3]
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (count / (count - 1)), self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight * (var + self.eps).rsqrt()
        shift = self.bias - mean * scale
        return torch.addcmul(shift[:, None, None], wide, scale[:, None, None]).to(x.dtype)


@contextlib.contextmanager
def _others_alive() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise CourseError(
            "scale-process-lost",
            f"Another process does not answer ({str(error).splitlines()[0]}).",
            "It has ended, or the network between the machines has. The last checkpoint is intact.",
            "Start the same command again: it goes on from there. torchrun --max-restarts 3 does so by itself.",
        ) from error

"""What the checks share: which maps BatchNorm made, and a small discriminator that has to stay as it is."""

from typing import Any

import torch
from torch import Tensor, nn
from torch._C import DisableTorchFunction
from torch.overrides import TorchFunctionMode

from course_utils.checks.core import require


class Normalised(TorchFunctionMode):
    """Notes the sizes of maps that BatchNorm made: by the function's name, or by mean 0 and deviation 1 of a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: set[int] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if type(result) is Tensor and result.dim() == 4 and result.is_floating_point():
            named = getattr(func, "__name__", "") == "batch_norm"
            if result.shape[-1] not in self.sizes and (named or _is_standardised(result)):
                self.sizes.add(result.shape[-1])
        return result


def small_judge() -> nn.Module:
    """A small discriminator, whose BatchNorm has seen pictures, and one layer of which is in evaluation mode."""
    network = nn.Sequential(
        nn.Conv2d(3, 6, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(6, 8, 4, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8, 1, 4, bias=False),
        nn.Flatten(0),
    )
    for _ in range(20):
        network(torch.rand(8, 3, 16, 16) * 2 - 1)
    network[1].eval()
    return network.requires_grad_(True)


def expect_as_it_came(network: nn.Module, before: nn.Module) -> None:
    """Require a discriminator's modes, averages and weights to be those of the copy that was taken before."""
    modes = [[module.training for module in net.modules()] for net in (network, before)]
    hint = "Training goes on after the penalty: give each layer back the mode in which it was, in D and inside it."
    require(modes[0] == modes[1], "D in the mode in which it came", "layers in another mode", hint)
    state, old = network.state_dict(), before.state_dict()
    moved = [name for name in state if not torch.equal(state[name], old[name])]
    hint = "BatchNorm's running averages moved: D was asked in training mode."
    require(not moved, "D's weights and averages as before", ", ".join(moved[:3]), hint)


def slope_of_the_package(discriminator: nn.Module, x: Tensor) -> Tensor:
    """Each example's own squared slope, on average: what lessons train with where nobody has answered."""
    from course_utils.models.gan_steady import slope

    return slope(discriminator, x)


def _is_standardised(maps: Tensor) -> bool:
    """Whether channels of (B, C, H, W) have mean 0 and deviation 1 as new BatchNorm leaves them; not each map alone."""
    with DisableTorchFunction(), torch.no_grad():
        deviations, means = torch.std_mean(maps.double(), (0, 2, 3))
        together = ((deviations - 1).abs() < 0.2).all() and (means.abs() < 1e-3).all()
        alone = (maps.mean((2, 3)).abs() < 1e-3).all()
        return bool(together and not alone)

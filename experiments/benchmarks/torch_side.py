"""The same work in PyTorch, written for these benchmarks; needs the extra `bench`."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from experiments.benchmarks import torch_networks

LAYOUTS = {
    "PyTorch": torch.contiguous_format,
    "PyTorch, channels last": torch.channels_last,
}


def train_step(
    network: nn.Module,
    inputs: tuple[int, ...],
    classes: int,
    *,
    batch_size: int,
    layout: torch.memory_format = torch.contiguous_format,
    alpha: float = 1.0,
    adam: bool = False,
    bfloat16: bool = False,
    compiled: str = "",
    steps: int = 1,
) -> Callable[[], float]:
    """Returns a training step on random data: mixup as in the paper, then the update.

    It runs on a GPU if there is one, and ends when that has.

    Args:
      network: Is trained.
      inputs: Shape of one example, channels first.
      classes: K.
      batch_size: Examples.
      layout: Of parameters and images in memory.
      alpha: 0 for ERM.
      adam: Adam at 1e-3 rather than SGD with momentum and weight decay.
      bfloat16: Forward and backward by autocast.
      compiled: Mode of `torch.compile`; empty: eager.
      steps: That a call takes, none waited for but the last.
    """
    device = _device()
    x = torch.randn(batch_size, *inputs, device=device)
    network = network.to(device)
    if len(inputs) == 3:
        x, network = x.to(memory_format=layout), _laid_out(network, layout)
    y = torch.randint(0, classes, (batch_size,), device=device)
    run: Any = network
    if compiled:
        torch._dynamo.reset()  # or else another batch size is compiled for any
        run = torch.compile(network, mode=compiled, dynamic=False)
    optimizer = _optimizer(network, device, adam=adam)

    def step() -> torch.Tensor:
        network.train()
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            if alpha:
                lam = float(np.random.beta(alpha, alpha))
                partner = torch.randperm(batch_size, device=device)
                logits = run(lam * x + (1 - lam) * x[partner])
                loss = lam * F.cross_entropy(logits, y)
                loss = loss + (1 - lam) * F.cross_entropy(logits, y[partner])
            else:
                loss = F.cross_entropy(run(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return lambda: [step() for _ in range(steps)][-1].item()


def _optimizer(network: nn.Module, device: str, *, adam: bool) -> torch.optim.Optimizer:
    parameters, fused = network.parameters(), device == "cuda"
    if adam:
        return torch.optim.Adam(parameters, 1e-3, fused=fused)
    return torch.optim.SGD(
        parameters, 0.1, momentum=0.9, weight_decay=1e-4, fused=fused
    )


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def choose_fast_kernels() -> None:
    """Lets PyTorch measure convolutions on a GPU, and use TF32 for products as JAX."""
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")


def _laid_out(network: Any, layout: torch.memory_format) -> nn.Module:
    return network.to(memory_format=layout)


def evaluation(
    network: nn.Module, inputs: tuple[int, ...], batch_size: int
) -> Callable[[], np.ndarray]:
    """Returns a function that classifies a batch."""
    x = torch.randn(batch_size, *inputs).to(memory_format=torch.channels_last)
    network = _laid_out(network, torch.channels_last).eval()

    def classify() -> np.ndarray:
        with torch.no_grad():
            return network(x).argmax(1).numpy()

    return classify


def fgsm(
    network: nn.Module, inputs: tuple[int, ...], classes: int, batch_size: int
) -> Callable[[], np.ndarray]:
    """Returns a function that attacks a batch by one step of the gradient's sign."""
    x = torch.rand(batch_size, *inputs).to(memory_format=torch.channels_last)
    y = torch.randint(0, classes, (batch_size,))
    network = _laid_out(network, torch.channels_last).eval()
    network.requires_grad_(False)

    def attack() -> np.ndarray:
        point = x.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(F.cross_entropy(network(point), y), point)
        return (x + 4 / 255 * slope.sign()).clamp(0, 1).numpy()

    return attack


def gan_iteration(width: int, sample: Callable[[], np.ndarray]) -> Callable[[], float]:
    """Returns an iteration of the toy GAN's script: five updates of D, one of G."""
    generator = torch_networks.Perceptron([2, width, width, width, 2])
    discriminator = torch_networks.Perceptron([2, width, width, width, 1])
    of_g = torch.optim.Adam(generator.parameters(), 1e-3)
    of_d = torch.optim.Adam(discriminator.parameters(), 1e-3)
    real = torch.from_numpy(sample())
    size = len(real)
    ones = torch.cat([torch.ones(size, 1), torch.zeros(size, 1)])

    def shuffled() -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            points = torch.cat([real, generator(torch.randn(size, 2))])
        order = torch.randperm(2 * size)
        return points[order], ones[order]

    def iterate() -> float:
        for _ in range(5):
            (x1, y1), (x2, y2) = shuffled(), shuffled()
            lam = 0.2 * torch.rand(2 * size, 1)
            logits = discriminator(lam * x1 + (1 - lam) * x2)
            loss = F.binary_cross_entropy_with_logits(logits, lam * y1 + (1 - lam) * y2)
            of_d.zero_grad()
            loss.backward()
            of_d.step()
        logits = discriminator(generator(torch.randn(size, 2)))
        of_g.zero_grad()
        (-F.softplus(logits).sum() / (2 * size)).backward()
        of_g.step()
        return loss.item()

    return iterate


def set_threads(count: int) -> None:
    """Tells PyTorch how many cores to use."""
    torch.set_num_threads(count)


def mixed(
    shape: Sequence[int], *, per_example: bool = False
) -> Callable[[], torch.Tensor]:
    """Returns a function that mixes a batch as the paper's formula is written."""
    x = torch.randn(*shape)
    lam_shape = (shape[0], 1, 1, 1) if per_example else ()

    def mix() -> torch.Tensor:
        lam = torch.as_tensor(np.random.beta(1, 1, lam_shape), dtype=torch.float32)
        return lam * x + (1 - lam) * x[torch.randperm(shape[0])]

    return mix


def normalised_and_mixed(
    shape: Sequence[int], mean: Sequence[float], std: Sequence[float]
) -> Callable[[], torch.Tensor]:
    """Returns a function that makes a mixed batch of bytes, [B, C, H, W]."""
    stored = torch.randint(0, 256, tuple(shape), dtype=torch.uint8)
    centre, scale = (torch.tensor(each).reshape(-1, 1, 1) for each in (mean, std))

    def mix() -> torch.Tensor:
        x = (stored.float() / 255 - centre) / scale
        lam = np.random.beta(1, 1)
        return lam * x + (1 - lam) * x[torch.randperm(shape[0])]

    return mix

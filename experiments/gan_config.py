"""What `experiments.gan` trains: two data sets, ERM and mixup, several seeds."""

import dataclasses
from typing import NamedTuple

import numpy as np

from mixup_jax.data import toy
from mixup_jax.errors import UsageError, unknown
from mixup_jax.models.gan import Discriminator, Generator
from mixup_jax.training.gan import FORMS, GanRecipe, SampleReal


class Toy(NamedTuple):
    """A row of figure 5."""

    title: str
    sample: SampleReal
    centres: np.ndarray


DATA = {
    "grid": Toy("25 Gaussians on a grid", toy.sample_grid, toy.GRID),
    "ring": Toy("8 Gaussians on a ring", toy.sample_ring, toy.RING),
}


class Member(NamedTuple):
    """One GAN; alpha 0 is ERM."""

    data: str
    alpha: float
    seed: int


def method(alpha: float) -> str:
    """Returns how a method is called in tables and pictures."""
    return f"mixup, alpha = {alpha:g}" if alpha else "ERM"


@dataclasses.dataclass(frozen=True)
class GanConfig:
    """What is trained; the defaults are the paper's.

    Attributes:
      width: Units of a hidden layer.
      iterations: Of each GAN.
      seeds: How many, from 0.
      alphas: Of the methods; 0 is ERM.
      form: See `GanRecipe`.
      z: Dimension of the noise.
      together: Whether the GANs of a data set are one program. That changes rounding,
        and small differences grow.
    """

    width: int = 512
    iterations: int = 20_000
    seeds: int = 1
    alphas: tuple[float, ...] = (0.0, 0.2)
    form: str = "script"
    z: int = 2
    together: bool = False

    @property
    def stops(self) -> tuple[int, ...]:
        """Iterations that are drawn; of 20,000 the paper's five."""
        half = self.iterations // 2
        early = {stop for stop in (10, 100, 1000) if stop < half}
        return tuple(sorted((early | {half, self.iterations}) - {0}))

    @property
    def scale(self) -> str:
        """Whether the sizes are the paper's, as in a `Record`."""
        full = GanConfig()
        same = (self.width, self.iterations) == (full.width, full.iterations)
        return "paper" if same else "small"

    @property
    def differs(self) -> str:
        """Says what is smaller than the paper's, or that nothing is."""
        full = GanConfig()
        parts = [
            f"{ours:,} {name} instead of {papers:,}"
            for name, ours, papers in (
                ("units in a layer", self.width, full.width),
                ("iterations", self.iterations, full.iterations),
            )
            if ours != papers
        ]
        return (
            f"Not the paper's size: {', '.join(parts)}." if parts else "Paper's size."
        )

    def validate(self) -> None:
        """Raises one UsageError that lists everything wrong with this config."""
        problems = [
            f"{name} must be at least 1, got {getattr(self, name)}"
            for name in ("width", "iterations", "seeds", "z")
            if getattr(self, name) < 1
        ]
        if self.form not in FORMS:
            problems.append(str(unknown("form", self.form, FORMS)))
        most = FORMS.get(self.form, np.inf)
        if not all(0 <= alpha <= most for alpha in self.alphas):
            problems.append(
                f"alphas must be from 0 to {most} with form {self.form}, got "
                f"{list(self.alphas)}"
            )
        if not self.alphas or len(set(self.alphas)) < len(self.alphas):
            problems.append(f"alphas must be some, each once, got {list(self.alphas)}")
        if problems:
            raise UsageError("\n".join(problems))

    def recipe(self, data: str) -> GanRecipe:
        """Returns what the GANs of a data set are made of."""
        return GanRecipe(
            DATA[data].sample,
            form=self.form,
            latent=self.z,
            generator=Generator(width=self.width),
            discriminator=Discriminator(width=self.width),
        )

    def pieces(self) -> dict[str, list[Member]]:
        """Returns the members of each program, by the name of its files."""
        members = [
            Member(data, alpha, seed)
            for seed in range(self.seeds)
            for data in DATA
            for alpha in self.alphas
        ]
        if self.together:
            return {data: [m for m in members if m.data == data] for data in DATA}
        return {f"{m.data}_alpha{m.alpha:g}_seed{m.seed}": [m] for m in members}

    def row(self, data: str, alpha: float) -> str:
        """Returns the name of a `Record`'s row, in which what is usual is not said."""
        name = f"mixup_a{alpha:g}" if alpha else "erm"
        form = "" if self.form == "script" or not alpha else f"_{self.form}"
        return f"{data}_{name}{form}" + ("" if self.z == 2 else f"_z{self.z}")

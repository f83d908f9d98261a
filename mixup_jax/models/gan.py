"""Generator and discriminator of the paper's toy GANs: 3 x 512 ReLU units each.

Parameters in two dimensions: 527,874 and 527,361.

Source: paper, section 3.7; hongyi-zhang/mixup, gan/example_gan.py.
"""

from mixup_jax.models.mlp import MLP


class Generator(MLP):
    """Maps noise to points.

    Attributes:
      num_classes: Dimension of a point; named so to be built like every network.
    """

    num_classes: int = 2
    depth: int = 3
    width: int = 512


class Discriminator(MLP):
    """Maps points to the logit of being real.

    Attributes:
      num_classes: Logits; named so to be built like every network.
    """

    num_classes: int = 1
    depth: int = 3
    width: int = 512

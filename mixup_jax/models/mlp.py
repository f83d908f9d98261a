"""Multi-layer perceptron: 2 x 128 ReLU units for the paper's tabular data.

Source: paper, section 3.6.
"""

import flax.linen as nn
from jaxtyping import Array, Float

from mixup_jax.models.dropout import Dropout
from mixup_jax.models.layers import BeforeStage, DropoutKeys, Layers, enter


class MLP(nn.Module):
    """Hidden layers of equal width with ReLU; inputs of any shape are flattened.

    Attributes:
      num_classes: K.
      depth: Hidden layers.
      width: Units in each.
      dropout: Rate after each hidden layer; 0 in the paper.
      layers: Precision and initialisation.
    """

    num_classes: int
    depth: int = 2
    width: int = 128
    dropout: float = 0.0
    layers: Layers = Layers(init="torch2017")

    @property
    def num_stages(self) -> int:
        """Each dense layer is one."""
        return self.depth + 1

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B ..."],
        *,
        train: bool,
        dropout_keys: DropoutKeys | None = None,
        before_stage: BeforeStage | None = None,
    ) -> Float[Array, "B K"]:
        """Returns float32 logits."""
        x = x.reshape(x.shape[0], -1)
        for index in range(1, self.depth + 1):
            x = enter(before_stage, index, x)
            x = nn.relu(self.layers.dense(x, self.width, name=f"hidden{index}"))
            drop = Dropout(self.dropout, name=f"dropout{index}")
            x = drop(x, dropout_keys, train=train)
        x = enter(before_stage, self.depth + 1, x)
        return self.layers.logits(x, self.num_classes, name="classifier")

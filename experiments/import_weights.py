r"""PyTorch weights for a network of the paper, and back.

  python -m experiments.import_weights \
    --model=resnet50 --input=resnet50.pth --output=resnet50.npz
  python -m experiments.import_weights --export \
    --model=resnet50 --input=resnet50.npz --output=resnet50.safetensors

Reads .pth, .pt, .bin, .tar, .pt7 and .t7 (tensors only: nothing in them is run) and
.safetensors; writes .npz or .safetensors, which `mixup_jax.models.weights.load`
reads. --option sets a field of the network, such as --option=width=4.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from experiments import common
from mixup_jax import models
from mixup_jax.errors import UsageError
from mixup_jax.models import convert, weights


def main(argv: Sequence[str]) -> None:
    values = flags.FlagValues()
    here = {"flag_values": values}
    names = ", ".join(models.BUILDERS)
    flags.DEFINE_string("model", None, f"one of: {names}", **here)
    flags.DEFINE_string("input", None, "file to read", **here)
    flags.DEFINE_string("output", None, "file to write", **here)
    flags.DEFINE_integer("num_classes", None, "how many [the paper's]", **here)
    text = "H,W,C of an example in pixels [the paper's]"
    flags.DEFINE_list("inputs", None, text, **here)
    text = "a field of the network, FIELD=VALUE; may be given several times"
    flags.DEFINE_multi_string("option", [], text, **here)
    flags.DEFINE_bool("export", False, "from our weights to PyTorch's", **here)
    flags.DEFINE_string("style", None, "of exported names [usual]", **here)
    if common.parse(values, __doc__, argv):
        return
    for name in ("model", "input", "output"):
        if not values[name].value:
            raise UsageError(f"--{name} is missing (see --help)")
    network = models.create(values.model, values.num_classes, **_options(values.option))
    inputs = models.BUILDERS[values.model].inputs
    if values.inputs:
        inputs = tuple(_number(size) for size in values.inputs)
    like = models.shapes(network, inputs)
    count = (_export if values.export else _import)(network, like, values)
    print(f"{count} tensors of {values.model} written to {values.output}")
    if not values.export:
        print("Next: mixup_jax.models.weights.load in Python (docs/networks.md)")


def _import(network, like, values) -> int:
    tensors = weights.read_torch(values.input)
    variables = convert.from_torch(network, tensors, like)
    weights.save(values.output, variables)
    return len(convert.to_torch(network, variables))


def _export(network, like, values) -> int:
    variables = weights.load(values.input, like)
    tensors = convert.to_torch(network, variables, style=values.style)
    weights.save_torch(values.output, tensors)
    return len(tensors)


def _options(assignments: Sequence[str]) -> dict[str, Any]:
    options = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise UsageError(f"--option takes field=value, got {assignment!r}")
        options[name] = _typed(value)
    return options


def _typed(value: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _number(size: str) -> int:
    if not size.strip().isdigit() or int(size) < 1:
        raise UsageError(f"--inputs takes whole numbers from 1, got {size!r}")
    return int(size)


if __name__ == "__main__":
    common.main(main)

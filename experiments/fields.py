"""The fields of a run as a page of the documentation.

python -m experiments.fields > docs/reference/flags.md
"""

import dataclasses
from collections.abc import Sequence

from absl import flags

from experiments import common, markdown
from mixup_jax.data.options import DataOptions
from mixup_jax.runs import RunConfig
from mixup_jax.vicinity.vicinity import Vicinity

_HEAD = """# Every flag of a run

Each field of `mixup_jax.runs.RunConfig` is a flag of its name; `--noflip` turns a
switch off. The defaults are the paper's setting on CIFAR-10 with ERM; a run named by
`--run` has its own. What would have no effect is refused.
"""


def page() -> str:
    """Returns the page: how examples are made, what from, and all else."""
    parts = {
        "How virtual examples are made": dataclasses.fields(Vicinity),
        "What is learned from": dataclasses.fields(DataOptions),
    }
    known = {field.name for fields in parts.values() for field in fields}
    rest = [f for f in dataclasses.fields(RunConfig) if f.name not in known]
    text = [_HEAD]
    for title, fields in {**parts, "Network and training": rest}.items():
        rows = [[f"`{f.name}`", _default(f), f.metadata["help"]] for f in fields]
        text += [
            f"## {title}\n",
            markdown.table(["field", "default", "what"], rows),
            "",
        ]
    return "\n".join(text).strip()


def _default(field: dataclasses.Field) -> str:
    value = field.default
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    return f"`{value}`" if value != "" else ""


def main(argv: Sequence[str]) -> None:
    if not common.parse(flags.FlagValues(), __doc__ or "", argv):
        print(page())


if __name__ == "__main__":
    common.main(main)

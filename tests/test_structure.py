"""The shape of the tree, as claims: which way imports point, what has one home."""

import ast
import inspect
from pathlib import Path

import pytest

import mixup_jax

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*ROOT.glob("mixup_jax/**/*.py"), *ROOT.glob("experiments/**/*.py")])

# A module may import those of its own line and of the lines above, never below.
LAYERS = [
    {"types", "errors", "randomness", "runtime", "hosts"},
    {"vicinity", "losses", "testing"},
    {"models", "data", "evaluation"},
    {"training"},
    {"runs"},
    {"experiments"},
]
HOMES = {
    "tensorflow": {"mixup_jax/data/tfds_source.py"},
    "tensorflow_datasets": {
        "mixup_jax/data/tfds_source.py",
        "mixup_jax/data/tfds_images.py",
        "mixup_jax/data/builders",
    },
    "cv2": {"mixup_jax/data/images/decoding.py"},
    "matplotlib": {"experiments/figures", "experiments/contact_sheet.py"},
    "orbax": {"mixup_jax/runs/checkpoint.py"},
    "absl": {"experiments"},
    "wandb": {"mixup_jax/runs/weights_and_biases.py"},
    "torch": {
        "mixup_jax/models/weights.py",
        "experiments/benchmark_input.py",
        "experiments/benchmarks/torch_",
    },
}


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer_of(module):
    parts = module.split(".")
    if parts[0] == "experiments":
        return len(LAYERS) - 1
    if parts[0] != "mixup_jax" or len(parts) == 1:
        return None
    found = [i for i, layer in enumerate(LAYERS) if parts[1] in layer]
    return found[0] if found else None


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_point_downwards(path):
    module = name_of(path).removesuffix(".py").replace("/", ".")
    own = layer_of(module)
    if own is None:  # mixup_jax/__init__.py: the public names
        return
    above = [name for name in imports(path) if (layer_of(name) or 0) > own]
    assert above == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_foreign_packages_have_one_home(path):
    for name in imports(path):
        homes = HOMES.get(name.split(".")[0], {name_of(path)})
        assert name_of(path).startswith(tuple(homes)), f"{name} outside of {homes}"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_modules_and_functions_can_be_read_at_a_sitting(path):
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 60, f"{node.name} has {length} lines"


def test_only_placement_knows_of_devices():
    words = ("pmap(", "shard_map(", "Mesh(", "local_devices")
    users = {
        name_of(path)
        for path in SOURCES
        if any(word in path.read_text() for word in words)
    }
    assert users == {"mixup_jax/training/placement.py"}


def test_public_functions_take_the_key_first_and_options_by_keyword():
    options = {"alpha", "bandwidth", "epsilon", "lam_per", "seed", "sigma"}
    for name in mixup_jax.__all__:
        if not inspect.isfunction(function := getattr(mixup_jax, name)):
            continue
        parameters = list(inspect.signature(function).parameters.values())
        names = [parameter.name for parameter in parameters]
        assert "key" not in names[1:], name
        # alpha is what these are about.
        if name in ("sample_lambda", "sample_dirichlet"):
            continue
        for parameter in parameters:
            if parameter.name in options:
                assert parameter.kind is parameter.KEYWORD_ONLY, name


def test_every_public_function_says_what_it_takes_and_gives():
    for name in mixup_jax.__all__:
        doc = inspect.getdoc(getattr(mixup_jax, name)) or ""
        assert len(doc) > 40, name


def test_the_version_is_said_once():
    text = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{mixup_jax.__version__}"' in text


def test_no_two_files_of_tests_have_one_name():
    # pytest imports them by name, and refuses the second.
    names = [path.name for path in ROOT.glob("tests/**/test_*.py")]
    assert len(set(names)) == len(names)

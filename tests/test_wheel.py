"""What is published: the wheel holds the library alone, and works by itself."""

import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

from tests.blocks import ROOT, blocks_of
from tests.programs import environment

KEPT = ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CITATION.cff")
FOLDERS = ("mixup_jax", "experiments", "tests")

BUILD = """
import sys
from setuptools import build_meta
out = sys.argv[1]  # which building changes
build_meta.build_sdist(out)
build_meta.build_wheel(out)
"""

# The programs stay at home, and what an extra brings is imported when it is needed.
READER = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import mixup_jax
assert mixup_jax.__file__.startswith(sys.argv[1]), mixup_jax.__file__
for module in pkgutil.walk_packages(mixup_jax.__path__, "mixup_jax."):
    importlib.import_module(module.name)
absent = {"experiments", "matplotlib", "mlxtend", "tensorflow", "wandb"}
print(sorted(absent & sys.modules.keys()))
exec(compile(sys.stdin.read(), "README", "exec"), {})
print("ran")
"""


def python(code, *arguments, cwd, **options):
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        **options,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder of the wheel and the source distribution, made from a clean copy."""
    pytest.importorskip("setuptools", "77", reason="needs setuptools 77 or newer")
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("built")
    for name in KEPT:
        shutil.copy(ROOT / name, copy)
    ignored = shutil.ignore_patterns("__pycache__")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    (copy / "tests" / "__pycache__").mkdir()  # as a run of the tests leaves it
    (copy / "tests" / "__pycache__" / "blocks.cpython-311.pyc").touch()
    python(BUILD, out, cwd=copy)
    return out


def test_the_wheel_holds_the_library_alone_with_types_and_licence(built):
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
    tops = {name.split("/")[0].split(".")[0] for name in names}
    assert tops == {"mixup_jax", "mixup_jax-0"}
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "mixup_jax").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {name for name in names if "dist-info" not in name} == files
    assert "mixup_jax/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_source_distribution_has_what_the_tests_need(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "CITATION.cff", "tests/conftest.py"} <= names
    assert {"tests/runs/test_config.py", "experiments/paper_tables.json"} <= names
    assert not any(name.endswith((".pyc", "__pycache__")) for name in names)


def test_every_module_of_the_wheel_and_the_readme_run_without_the_repository(
    built, tmp_path
):
    (path,) = built.glob("*.whl")
    shutil.unpack_archive(path, tmp_path / "site", "zip")
    code = "\n".join(blocks_of((ROOT / "README.md").read_text()))
    out = python(READER, tmp_path / "site", cwd=tmp_path, input=code)
    assert out.splitlines() == ["[]", "ran"]

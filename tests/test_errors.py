import sys

from mixup_jax import errors


def test_an_extra_is_installed_for_the_python_that_is_running(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    elsewhere = f"{tmp_path}/.venv/bin/python -m pip install 'mixup-jax[demo]'"
    assert errors.install("demo") == elsewhere
    monkeypatch.chdir(tmp_path)
    here = ".venv/bin/python -m pip install 'mixup-jax[demo]'"
    assert errors.install("demo") == here


def test_what_is_no_text_is_no_known_name_either(untyped):
    assert str(errors.unknown("model", None, ["mlp"])) == (
        "unknown model None. Known: mlp"
    )

"""What every program shares: mistakes in the command line, and errors in the end."""

import sys

import pytest

from experiments import common, data, run_flags
from mixup_jax.errors import UsageError


def test_a_mistyped_flag_is_told_the_nearest():
    values = run_flags.define_run_flags({})
    with pytest.raises(UsageError, match=r"no flag --alhpa\. Did you mean --alpha\?"):
        common.parse(values, "", ["program", "--alhpa=1"])


def test_a_file_that_cannot_be_written_is_named_without_a_traceback(
    monkeypatch, capsys, tmp_path
):
    out = tmp_path / "nowhere" / "x.png"
    flags = ["data", "--show=mnist5k", f"--out={out}"]
    monkeypatch.setattr(sys, "argv", flags)
    monkeypatch.setattr(data, "show", lambda config, out, session: out.write_bytes(b""))
    with pytest.raises(SystemExit) as stop:
        common.main(data.main)
    assert stop.value.code == 1
    assert capsys.readouterr().err == f"failed: {out}: No such file or directory\n"

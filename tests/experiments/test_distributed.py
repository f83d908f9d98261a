"""Two real processes as one run, on this machine: results, faults, resuming."""

import json
import os
import random
import signal

import jax
import numpy as np
import pytest

from experiments import cifar, gan, run_flags, soak_faults, soak_run
from mixup_jax.errors import UsageError
from mixup_jax.runs import Session, execution, run
from mixup_jax.runs.checkpoint import read_variables
from mixup_jax.runs.interrupt import Interrupted
from tests.programs import TINY, finish, start, wait_for

RUN = [*TINY, "--epochs=30"]
# Divides over eight devices; 13 steps.
WIDE = [*TINY, "--batch_size=80", "--train_examples=1040", "--epochs=1", "--lr_drops="]
MODES = ("pmap", "shard_map")
# Any number, that two runs of the tests on one machine do not share a port.
JOBS = {name: random.randrange(10**5, 10**6) for name in ("SLURM", "Open MPI")}
# One unit in the last place of the largest parameters, which lie between 1/8 and 1/4.
ULP = float(np.spacing(np.float32(0.2)))


def start_two(*arguments, workdirs, more=((), ()), module="experiments.cifar"):
    address = soak_run.free_address()
    return [
        start(
            *arguments,
            *more[process],
            f"--workdir={workdirs[process]}",
            "--distributed=manual",
            f"--coordinator={address}",
            "--processes=2",
            f"--process={process}",
            "--host_timeout=20",
            module=module,
        )
        for process in range(2)
    ]


def result_of(workdir):
    return json.loads((workdir / "result.json").read_text())


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The result of one process with two devices."""
    workdir = tmp_path_factory.mktemp("alone")
    code, _, err = finish(start(*RUN, "--cpu_devices=2", f"--workdir={workdir}"))
    assert code == 0, err
    return result_of(workdir)


@pytest.mark.parametrize("mode", MODES)
def test_two_processes_end_in_bitwise_the_parameters_of_one(mode, alone, tmp_path):
    workdirs = [tmp_path / "first", tmp_path / "second"]
    processes = start_two(*RUN, f"--parallel={mode}", workdirs=workdirs)
    for code, _, err in map(finish, processes):
        assert code == 0, err
    result = result_of(workdirs[0])
    assert result["params_sha256"] == alone["params_sha256"]
    for name in ("test_error_best", "train_error_corrupted", "train_loss_last"):
        assert result[name] == alone[name]
    # The main process alone writes files, and it alone speaks.
    assert not workdirs[1].exists()
    assert result["environment"]["device"].startswith("2 x cpu")


def run_on(devices, workdir, patch, *more, mode="pmap", stop=None):
    """The run WIDE in this process on some of its devices; stopped after a step."""
    values = run_flags.define_run_flags(cifar.RUNS)
    values(["cifar", *WIDE, *more])
    config = run_flags.chosen_config(values, cifar.RUNS)

    def step_then_signal(self, step, *_):
        if step == stop:
            os.kill(os.getpid(), signal.SIGTERM)

    some = jax.devices()[:devices]
    with patch.context() as here:
        here.setattr(jax, "devices", lambda *backend: some)
        here.setattr(execution.Progress, "step", step_then_signal)
        return run(config, workdir, Session(parallel=mode, report=print))


def largest_difference(first, second):
    """Of the parameters that two runs ended with."""
    kept = [read_variables(path / "checkpoints")["params"] for path in (first, second)]
    apart = jax.tree.map(lambda a, b: np.abs(np.subtract(a, b)).max(), *kept)
    return float(max(jax.tree.leaves(apart)))


@pytest.fixture(scope="module")
def on_eight_and_one(tmp_path_factory):
    """Where one process has run WIDE with eight devices, and with one."""
    workdirs = [tmp_path_factory.mktemp(name) for name in ("eight", "one")]
    with pytest.MonkeyPatch.context() as patch:
        for devices, workdir in zip((8, 1), workdirs, strict=True):
            run_on(devices, workdir, patch)
    return workdirs


@pytest.mark.parametrize("mode", MODES)
def test_two_hosts_of_four_devices_are_one_of_eight(mode, on_eight_and_one, tmp_path):
    eight, one = on_eight_and_one
    arguments = [*WIDE, "--cpu_devices=4", f"--parallel={mode}"]
    for code, _, err in map(finish, start_two(*arguments, workdirs=[tmp_path] * 2)):
        assert code == 0, err
    assert result_of(tmp_path)["environment"]["device"].startswith("8 x cpu")
    # Not bitwise: eight devices add eight shares of a gradient in one row, two hosts
    # add two sums of four. That moves single last digits.
    assert largest_difference(tmp_path, eight) <= 4 * ULP
    assert largest_difference(tmp_path, one) <= 4 * ULP
    for name in ("test_error_last", "train_error_corrupted"):
        assert result_of(tmp_path)[name] == result_of(eight)[name]


def test_a_run_goes_on_from_eight_devices_on_one_and_on_four(
    on_eight_and_one, tmp_path, monkeypatch, capsys
):
    for devices, mode, stop in ((8, "pmap", 4), (1, "shard_map", 9)):
        with pytest.raises(Interrupted, match=f"saved at step {stop}"):
            run_on(devices, tmp_path, monkeypatch, mode=mode, stop=stop)
    run_on(4, tmp_path, monkeypatch)
    out = capsys.readouterr().out
    assert "continuing from step 4" in out and "continuing from step 9" in out
    assert largest_difference(tmp_path, on_eight_and_one[0]) <= 4 * ULP


@pytest.mark.parametrize("victim", [0, 1])
def test_one_killed_the_other_ends_and_one_process_continues(victim, alone, tmp_path):
    processes = start_two(*RUN, workdirs=[tmp_path, tmp_path])
    wait_for(tmp_path / "checkpoints" / "33", processes[0])
    processes[victim].kill()
    codes = [finish(process)[0] for process in processes]
    assert codes[victim] == -signal.SIGKILL
    assert codes[1 - victim] not in (0, -signal.SIGKILL)
    code, _, err = finish(start(*RUN, "--cpu_devices=2", f"--workdir={tmp_path}"))
    assert code == 0, err
    assert "continuing from step" in err
    assert result_of(tmp_path)["params_sha256"] == alone["params_sha256"]


def test_two_processes_name_a_damaged_checkpoint_and_take_the_one_before(
    alone, tmp_path
):
    processes = start_two(*RUN, workdirs=[tmp_path, tmp_path])
    wait_for(tmp_path / "checkpoints" / "44", processes[0])
    for process in processes:
        process.kill()
        finish(process)
    newest = max(int(p.name) for p in (tmp_path / "checkpoints").glob("[0-9]*[0-9]"))
    soak_faults.truncate(tmp_path / "checkpoints" / str(newest))
    ended = list(map(finish, start_two(*RUN, workdirs=[tmp_path, tmp_path])))
    for code, _, err in ended:
        assert code == 0, err
    assert f"checkpoint of step {newest} is damaged" in ended[0][2]
    assert result_of(tmp_path)["params_sha256"] == alone["params_sha256"]


def test_told_to_stop_one_stops_both_and_two_continue(alone, tmp_path):
    slow = [*RUN, "--checkpoint_every=1000", "--parallel=shard_map"]
    processes = start_two(*slow, workdirs=[tmp_path, tmp_path])
    wait_for(tmp_path / "metrics.jsonl", processes[0])
    processes[1].send_signal(signal.SIGTERM)
    for process in processes:
        code, _, err = finish(process)
        assert code == 128 + signal.SIGTERM, err
        assert "saved at step" in err and "Traceback" not in err
    for code, _, err in map(finish, start_two(*RUN, workdirs=[tmp_path, tmp_path])):
        assert code == 0, err
    assert result_of(tmp_path)["params_sha256"] == alone["params_sha256"]


def test_images_that_each_host_streams_itself_train_as_those_of_one(tmp_path):
    streamed = [*TINY, "--epochs=2", "--lr_drops=1", "--image_size=12"]
    streamed += ["--shorter_side=14", "--crop_area=0.5", "--train_examples=200"]
    one = start(*streamed, "--cpu_devices=2", f"--workdir={tmp_path / 'one'}")
    code, _, err = finish(one)
    assert code == 0, err
    two = tmp_path / "two"
    for code, _, err in map(finish, start_two(*streamed, workdirs=[two, two])):
        assert code == 0, err
    result = result_of(tmp_path / "one")
    assert result_of(two)["params_sha256"] == result["params_sha256"]
    row = json.loads((two / "metrics.jsonl").read_text().splitlines()[0])
    assert len(row["input_wait_of_hosts"]) == 2


def test_a_table_of_two_processes_is_written_by_one(tmp_path):
    arguments = ["--scale=small", "--rows=erm_wd1e4", "--seeds=1", "--epochs=1"]
    arguments += ["--lr_drops=", "--train_examples=400"]
    workdirs = [tmp_path / "first", tmp_path / "second"]
    processes = start_two(*arguments, workdirs=workdirs, module="experiments.ablation")
    (code, out, err), (other, silent, other_err) = map(finish, processes)
    assert (code, other) == (0, 0), err + other_err
    assert "| erm_wd1e4" in out and "erm_wd1e4" not in silent
    assert (workdirs[0] / "records.csv").exists() and not workdirs[1].exists()


def test_programs_of_one_process_refuse_several(tmp_path):
    with pytest.raises(UsageError, match="leave out --distributed"):
        gan.main(["gan", f"--workdir={tmp_path / 'w'}", "--distributed=auto"])
    assert not (tmp_path / "w").exists()


def launched_by(launcher, process):
    """The variables that a launcher sets; JAX makes the port of the job's number."""
    job = JOBS[launcher]
    if launcher == "SLURM":
        return {
            "SLURM_JOB_ID": str(job),
            "SLURM_STEP_NODELIST": "127.0.0.1",
            "SLURM_NTASKS": "2",
            "SLURM_PROCID": str(process),
            "SLURM_LOCALID": "0",
        }
    return {
        "OMPI_MCA_orte_hnp_uri": f"{job * 2**12}.0;tcp://127.0.0.1:34911",
        "OMPI_COMM_WORLD_SIZE": "2",
        "OMPI_COMM_WORLD_RANK": str(process),
        "OMPI_COMM_WORLD_LOCAL_RANK": "0",
    }


@pytest.mark.parametrize("launcher", JOBS)
def test_a_launcher_says_who_is_who(launcher, alone, tmp_path):
    arguments = [*RUN, f"--workdir={tmp_path}", "--distributed=auto"]
    processes = [
        start(*arguments, more=launched_by(launcher, process)) for process in range(2)
    ]
    for code, _, err in map(finish, processes):
        assert code == 0, err
        assert "of 2" in err
    assert result_of(tmp_path)["params_sha256"] == alone["params_sha256"]


def test_without_a_cluster_auto_says_what_to_do(tmp_path):
    code, _, err = finish(start(*RUN, f"--workdir={tmp_path}", "--distributed=auto"))
    assert code == 2
    assert "nothing tells of a cluster" in err and "--distributed=manual" in err


def test_what_is_wrong_for_one_stops_both_with_the_reason(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    for process in start_two(*RUN, workdirs=[tmp_path, tmp_path]):
        code, _, err = finish(process)
        assert code == 2
        assert "holds files but no config.json" in err and "Traceback" not in err


def test_data_that_only_one_cannot_read_stops_both(tmp_path):
    # The second process reads the cache of prepared sets from elsewhere.
    missing = "--dataset=npz:{}"
    processes = start_two(
        *RUN,
        workdirs=[tmp_path / "w", tmp_path / "w"],
        more=((), (missing.format(tmp_path / "none"),)),
    )
    (first, _, of_first), (second, _, of_second) = map(finish, processes)
    assert (first, second) == (1, 2)
    assert "process 1 could not go on" in of_first
    assert "none_train.npz" in of_second
    assert not (tmp_path / "w").exists()

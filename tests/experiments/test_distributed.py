"""Two real processes as one run, on this machine: results, faults, resuming."""

import json
import random
import signal
import socket

import pytest

from experiments import gan, soak
from mixup_jax.errors import UsageError
from tests.programs import TINY, finish, start, wait_for

RUN = [*TINY, "--epochs=30"]
MODES = ("pmap", "shard_map")


def start_two(*arguments, workdirs, more=((), ()), module="experiments.cifar"):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [
        start(
            *arguments,
            *more[process],
            f"--workdir={workdirs[process]}",
            "--distributed=manual",
            f"--coordinator=127.0.0.1:{port}",
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
    soak._truncate(tmp_path / "checkpoints" / str(newest))
    ended = list(map(finish, start_two(*RUN, workdirs=[tmp_path, tmp_path])))
    for code, _, err in ended:
        assert code == 0, err
    assert f"checkpoint of step {newest} is damaged" in ended[0][2]
    assert result_of(tmp_path)["params_sha256"] == alone["params_sha256"]


@pytest.mark.parametrize(("told", "signum"), [(0, signal.SIGINT), (1, signal.SIGTERM)])
def test_told_to_stop_one_stops_both_and_two_continue(told, signum, alone, tmp_path):
    slow = [*RUN, "--checkpoint_every=1000", "--parallel=shard_map"]
    processes = start_two(*slow, workdirs=[tmp_path, tmp_path])
    wait_for(tmp_path / "metrics.jsonl", processes[0])
    processes[told].send_signal(signum)
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


def test_slurm_says_who_is_who(alone, tmp_path):
    # Its variables as srun sets them; JAX makes the port of the job's number.
    job = str(random.randrange(10**5, 10**6))
    processes = [
        start(
            *RUN,
            f"--workdir={tmp_path}",
            "--distributed=auto",
            more={
                "SLURM_JOB_ID": job,
                "SLURM_STEP_NODELIST": "127.0.0.1",
                "SLURM_NTASKS": "2",
                "SLURM_PROCID": str(process),
                "SLURM_LOCALID": "0",
            },
        )
        for process in range(2)
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

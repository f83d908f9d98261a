"""What one process can tell of hosts; several are in experiments/test_distributed."""

import re

import jax
import numpy as np
import pytest
from absl import flags
from jax._src import clusters

from experiments import run_flags
from mixup_jax import hosts
from mixup_jax.errors import UsageError
from tests.blocks import ROOT

MANUAL = {"coordinator": "10.0.0.1:1234", "processes": 2, "process": 1}


@pytest.mark.parametrize(
    ("mode", "given", "message"),
    [
        ("of", {}, "Did you mean 'off'"),
        ("off", {"processes": 2}, "--processes would have no effect with"),
        ("off", {"process": 0}, "--process would have no effect"),
        ("auto", MANUAL, "--coordinator, --processes, --process would have no effect"),
        ("manual", {}, "needs --coordinator, --processes, --process too"),
        ("manual", MANUAL | {"process": -1}, "needs --process too"),
        ("manual", MANUAL | {"process": 2}, "from 0 to 1, as there are 2 processes"),
        (
            "manual",
            MANUAL | {"processes": -1},
            "--processes must be at least 1, got -1",
        ),
        ("manual", MANUAL | {"coordinator": "node1"}, "HOST:PORT.*got 'node1'"),
        ("manual", MANUAL | {"timeout": 0}, "--host_timeout must be at least 1 second"),
    ],
)
def test_what_does_not_go_together_is_refused(mode, given, message):
    with pytest.raises(UsageError, match=message):
        hosts.join(mode, **given)


def test_off_joins_nothing():
    assert hosts.join("off") == ""
    assert (hosts.count(), hosts.index(), hosts.is_main()) == (1, 0, True)


def test_a_process_alone_just_does_what_it_is_told():
    assert hosts.on_main(lambda: {"rows": [1]}) == {"rows": [1]}
    assert hosts.main_first(lambda: "set") == "set"
    with pytest.raises(FileNotFoundError):
        hosts.on_main(lambda: open("/nowhere/at/all"))
    kept = hosts.arrays_from_main({"w": jax.numpy.array([-0.0, 1.0])})
    assert np.signbit(kept["w"][0])
    assert not hosts.told_to_stop(3)


# Variables that a launcher sets, and what is to follow: address of process 0, how many
# there are, which one this is.
LAUNCHERS = {
    "SLURM": (
        {
            "SLURM_JOB_ID": "61461",
            "SLURM_STEP_NODELIST": "node[07-08]",
            "SLURM_NTASKS": "16",
            "SLURM_PROCID": "9",
            "SLURM_LOCALID": "1",
        },
        ("node07:61461", 16, 9),
    ),
    "Open MPI 4": (
        {
            "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911",
            "OMPI_COMM_WORLD_SIZE": "8",
            "OMPI_COMM_WORLD_RANK": "5",
            "OMPI_COMM_WORLD_LOCAL_RANK": "1",
        },
        ("10.96.0.1:62624", 8, 5),
    ),
    "TPU pod of GKE": (
        {"TPU_WORKER_HOSTNAMES": "localhost,10.0.0.2", "TPU_WORKER_ID": "1"},
        ("localhost:8482", 2, 1),
    ),
    "two TPU slices of a JobSet": (
        {
            "TPU_WORKER_HOSTNAMES": "10.0.0.3,10.0.0.4",
            "TPU_WORKER_ID": "1",
            "MEGASCALE_COORDINATOR_ADDRESS": "localhost:8080",
            "MEGASCALE_NUM_SLICES": "2",
            "MEGASCALE_SLICE_ID": "1",
        },
        ("localhost:8482", 4, 3),
    ),
}


@pytest.fixture
def joined(monkeypatch):
    """What JAX would join, found by its own detection; nothing is joined."""
    found = []

    def initialize(
        coordinator_address=None, num_processes=None, process_id=None, **options
    ):
        timeout = options["initialization_timeout"]
        given = (coordinator_address, num_processes, process_id, None, None, timeout)
        *known, _ = clusters.ClusterEnv.auto_detect_unset_distributed_params(*given)
        if known[0] is None:
            raise ValueError("coordinator_address should be defined.")
        found.extend(known)

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    return found


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_auto_finds_what_a_launcher_says(launcher, joined, monkeypatch):
    variables, expected = LAUNCHERS[launcher]
    if "TPU" in launcher:  # a machine with the chips and no metadata server
        for module in ("cluster", "cloud_tpu_cluster"):
            path = f"jax._src.clusters.{module}.running_in_cloud_tpu_vm"
            monkeypatch.setattr(path, True)
        monkeypatch.setenv("TPU_SKIP_MDS_QUERY", "1")
        for name in ("COORDINATOR_ADDRESS", "NUM_SLICES", "SLICE_ID"):
            monkeypatch.setenv(f"MEGASCALE_{name}", "")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    hosts.join("auto")
    assert tuple(joined) == expected


@pytest.mark.parametrize(
    "variables",
    [
        {},
        # Its launcher tells no address; neither does a pod.
        {"OMPI_COMM_WORLD_SIZE": "8", "OMPI_COMM_WORLD_RANK": "5"},
        {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "1"},
    ],
    ids=["nothing", "Open MPI 5", "Kubernetes"],
)
@pytest.mark.filterwarnings("ignore:Kubernetes environment detected")
def test_auto_where_nothing_tells_says_what_to_do(variables, joined, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=r"nothing tells of a .*--distributed=manual"):
        hosts.join("auto")


@pytest.mark.parametrize(
    ("launcher", "variables", "expected"),
    [
        (
            "Kubernetes",
            {"JOBSET_NAME": "mix", "WORKERS": "4", "JOB_COMPLETION_INDEX": "2"},
            ("mix-workers-0-0.mix:1234", 4, 2),
        ),
        (
            "Open MPI 5",
            {"HEAD": "10.0.0.1", "OMPI_COMM_WORLD_SIZE": "8"}
            | {"OMPI_COMM_WORLD_RANK": "5"},
            ("10.0.0.1:1234", 8, 5),
        ),
    ],
)
def test_the_flags_that_the_page_gives(launcher, variables, expected, joined):
    section = (ROOT / "docs/pods.md").read_text().split(f"**{launcher}**")[1]
    block = section.split("**")[0]
    values = flags.FlagValues()
    run_flags.define_session_flags(values)
    given = re.findall(r"--(?:distributed|coordinator|process\w*)=\S+", block)
    for name, value in variables.items():
        given = [re.sub(rf"\$(\({name}\)|{name}\b)", value, each) for each in given]
    values(["program", *(each.strip("'") for each in given)])
    mode, coordinator = values.distributed, values.coordinator
    count, place = values.processes, values.process
    hosts.join(mode, coordinator=coordinator, processes=count, process=place)
    assert tuple(joined) == expected

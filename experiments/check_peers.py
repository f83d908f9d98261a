r"""What the checks of `mixup_jax.testing` find in other systems' mixup.

  python -m experiments.check_peers > peers.md
  python -m experiments.check_peers --only=keras.MixUp --draws=500
  python -m experiments.check_peers --list

Prints Markdown: a table of checks by system, and each finding that is not "yes" in
words. A system that is not installed (`pip install keras kornia timm torchvision`) is
named and left out of the table.
"""

import importlib.metadata
import sys
from collections.abc import Mapping, Sequence

from absl import flags

from experiments import common
from experiments.peer_adapters import PEERS, Peer
from mixup_jax.errors import UsageError, unknown
from mixup_jax.testing import Report, check_mixing

_WORDS = {"holds": "yes", "differs": "differs", "fails": "**no**"}


def main(argv: Sequence[str]) -> None:
    values = flags.FlagValues()
    here = {"flag_values": values}
    flags.DEFINE_list("only", None, "names of the systems [all]", **here)
    flags.DEFINE_integer("draws", 1000, "calls for each statistical check", **here)
    flags.DEFINE_bool("list", False, "print their names, stop", **here)
    if common.parse(values, __doc__, argv):
        return
    if values.list:
        print("\n".join(PEERS))
        return
    if values.draws < 100:
        raise UsageError(f"--draws must be at least 100, got {values.draws}")
    names = values.only or list(PEERS)
    for name in names:
        if name not in PEERS:
            raise unknown("system", name, PEERS)
    reports, absent = {}, {}
    for name in names:
        found = examine(name, PEERS[name], draws=values.draws)
        if isinstance(found, Report):
            print(found.table(), file=sys.stderr)
            reports[name] = found
        else:
            absent[name] = found
    print(page(reports, absent))


def examine(name: str, peer: Peer, *, draws: int) -> Report | str:
    """Returns the report on a system, or why there is none."""
    try:
        arguments = peer.build()
    except ImportError as error:
        return f"not installed ({error})"
    report = check_mixing(**arguments, name=name, draws=draws)
    kept = tuple(found for found in report.findings if found.check not in peer.skip)
    return Report(f"{name} ({_versions(peer)})", kept)


def page(reports: Mapping[str, Report], absent: Mapping[str, str]) -> str:
    """Returns the table and the findings as Markdown."""
    checks = dict.fromkeys(
        found.check for report in reports.values() for found in report.findings
    )
    lines = [
        "| check | " + " | ".join(reports) + " |",
        "|---" * (1 + len(reports)) + "|",
    ]
    for check in checks:
        cells = [_cell(report, check) for report in reports.values()]
        lines.append(f"| {check} | " + " | ".join(cells) + " |")
    for report in reports.values():
        lines += ["", f"**{report.name}**", ""]
        others = report.failures + report.differences
        for check, status, detail in others:
            lines.append(f"- {check}: {_WORDS[status]}. {detail}")
        if not others:
            lines.append("- nothing to report")
    lines += [f"\n{name}: {reason}" for name, reason in absent.items()]
    return "\n".join(lines)


def _cell(report: Report, check: str) -> str:
    for found in report.findings:
        if found.check == check:
            return _WORDS.get(found.status, "-")
    return "-"


def _versions(peer: Peer) -> str:
    return ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in peer.packages
    )


if __name__ == "__main__":
    common.main(main)

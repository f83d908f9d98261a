"""What the checks found, as a table, a list of failures, or an AssertionError."""

import dataclasses
import textwrap
from typing import Literal, NamedTuple

Status = Literal["holds", "differs", "fails", "not applicable"]


class Finding(NamedTuple):
    """The outcome of one check.

    Attributes:
      check: Its name, such as "lambda law".
      status: "holds": as in the paper. "differs": a choice other than the paper's, and
        a legitimate one. "fails": wrong whatever was meant. "not applicable".
      detail: One sentence with the number measured.
    """

    check: str
    status: Status
    detail: str


@dataclasses.dataclass(frozen=True)
class Report:
    """All findings about one mixing function.

    Attributes:
      name: Of the function.
      findings: In the order of the checks.
    """

    name: str
    findings: tuple[Finding, ...]

    @property
    def failures(self) -> tuple[Finding, ...]:
        """What is wrong."""
        return self._with("fails")

    @property
    def differences(self) -> tuple[Finding, ...]:
        """Where the function chose otherwise than the paper."""
        return self._with("differs")

    def __getitem__(self, check: str) -> Finding:
        """Returns the finding of the named check."""
        for finding in self.findings:
            if finding.check == check:
                return finding
        names = ", ".join(finding.check for finding in self.findings)
        raise KeyError(f"no check {check!r} in this report. It has: {names}")

    def table(self) -> str:
        """Returns the findings as text, one check per line, long details wrapped."""
        checks = max(len(finding.check) for finding in self.findings)
        states = max(len(finding.status) for finding in self.findings)
        lines = [self.name]
        for check, status, detail in self.findings:
            head = f"  {check:{checks}}  {status:{states}}  "
            lines += textwrap.wrap(
                detail, 100, initial_indent=head, subsequent_indent=" " * len(head)
            )
        return "\n".join(lines)

    def raise_if_failed(self) -> None:
        """Raises AssertionError with the table if a check fails.

        Differences from the paper pass: assert on `differences` to refuse them too.
        """
        if self.failures:
            raise AssertionError(f"{len(self.failures)} checks fail\n{self.table()}")

    def _with(self, status: Status) -> tuple[Finding, ...]:
        return tuple(found for found in self.findings if found.status == status)

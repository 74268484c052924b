"""The one error vocabulary: every error is named by what to do next.

Each message says what happened, to which source, table or list, and what to do; it carries the
vendor's request id when there is one, and never a secret, an address or a payload.
"""

from __future__ import annotations


class StitchlineError(Exception):
    """Root of everything the program raises on purpose.

    Args:
        what: what happened, one sentence, no personal data.
        where: source, stream, table, list or file it happened to.
        fix: what the reader should do next.
        request_id: the vendor's own id of the failing call, for its support desk.
    """

    def __init__(self, what: str, *, where: str, fix: str, request_id: str | None = None) -> None:
        self.what = what
        self.where = where
        self.fix = fix
        self.request_id = request_id
        super().__init__(what, where, fix, request_id)

    def __str__(self) -> str:
        seen = f" (request id {self.request_id})" if self.request_id else ""
        return f"{self.where}: {self.what}{seen}. {self.fix}"


class RetryLater(StitchlineError):
    """A passing fault; the same call may work after `after` seconds."""

    def __init__(
        self, what: str, *, where: str, fix: str = "", request_id: str | None = None, after: float | None = None
    ) -> None:
        super().__init__(what, where=where, fix=fix or "The task retries by itself.", request_id=request_id)
        self.after = after


class FixCredentials(StitchlineError):
    """The vendor refused who we are; retrying cannot help until a person mends the connection."""


class FixSettings(StitchlineError):
    """A setting, header, override or connection field is wrong; `where` names the file and line or the variable."""


class SkipRecord(StitchlineError):
    """One record is unusable; it is quarantined with its bytes and the stream goes on."""


class StopSync(StitchlineError):
    """Going on would do harm (quota used up, guard tripped, plan out of date); a person or time must act first."""


class CheckFailed(StitchlineError):
    """A critical data check failed; what depends on the table waits, the published state stays as it was."""


class ReviewIdentity(CheckFailed):
    """Who is who changed more in one run than it ever does; a person looks before it is published."""


class WarehouseBusy(RetryLater):
    """The warehouse file stayed locked by another process for longer than the bounded wait."""

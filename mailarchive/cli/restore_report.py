"""What a restore did, as text and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from mailarchive.cli.render import clean, count, plural, seconds, size
from mailarchive.cli.terminal import out, say
from mailarchive.ops.restore_report import Refusal, RestoredMailbox, RestoreReport

if TYPE_CHECKING:
    from mailarchive.ops.restore_verify import RestoreVerification

_SHOWN = 20
_COUNTS = ("sent", "copied", "there", "known", "refused", "damaged", "left")
_COMPARED = ("wanted", "same", "mended", "different", "missing", "damaged")
_WORDS = {"there": "there already", "known": "restored before"}


def as_object(report: "RestoreReport | RestoreVerification") -> dict[str, object]:
    """Return the report for ``--json``, with its sums."""
    if not isinstance(report, RestoreReport):
        return {**asdict(report), "totals": {name: report.total(name) for name in _COMPARED}}
    sums = {name: report.total(name) for name in ("wanted", *_COUNTS, "sent_bytes", "mended", "removed")}
    if report.dry_run:
        sums |= {name: report.total(name) for name in ("to_send", "to_send_bytes", "to_copy")}
    return {**asdict(report), "totals": sums}


def print_problems(report: "RestoreReport | RestoreVerification") -> None:
    """Say on standard error what went wrong, and what to do."""
    if not isinstance(report, RestoreReport):
        _print_some(report.problems)
        if report.total("missing"):
            say("mailarchive: what is missing is sent by the same command without --verify (what was removed: --again)")
        return
    _print_some([_refusal(refusal, dry_run=report.dry_run) for refusal in report.refusals])
    if not report.dry_run and any(one.fix and not one.mended for one in report.refusals):
        say("mailarchive: mended copies of them can be sent with --fix-for-target")
    for mailbox in report.mailboxes:
        if mailbox.error:
            say(f"mailarchive: {clean(mailbox.error)}")
            if mailbox.hint:
                say(f"  hint: {clean(mailbox.hint)}")
    if report.dropped_flags:
        flags = ", ".join(f"{flag} ({count(number)})" for flag, number in sorted(report.dropped_flags.items()))
        say(f"mailarchive: the target does not keep these flags: {clean(flags)}")
    for note in report.notes:
        say(f"mailarchive: {clean(note)}")
    if removed := report.total("removed"):
        say(
            f"mailarchive: {plural(removed, 'message')} that had been restored are no longer there; "
            "they are sent again with --again"
        )
    if report.error:
        say(f"mailarchive: {clean(report.error)}")
        if report.hint:
            say(f"  hint: {clean(report.hint)}")


def _print_some(sentences: Sequence[str]) -> None:
    for sentence in sentences[:_SHOWN]:
        say(f"mailarchive: {clean(sentence)}")
    if len(sentences) > _SHOWN:
        say(f"mailarchive: and {count(len(sentences) - _SHOWN)} more (all are in --json)")


def _refusal(refusal: Refusal, *, dry_run: bool) -> str:
    verb = "was mended and sent" if refusal.mended else "will be refused" if dry_run else "was refused"
    fix = f" ({refusal.fix})" if refusal.fix else ""
    return (
        f"{refusal.mailbox}: message {refusal.digest[:12]} of {refusal.source} ({size(refusal.size)}) "
        f"{verb}: {refusal.reason}{fix}"
    )


def print_summary(report: "RestoreReport | RestoreVerification", *, verbose: bool) -> None:
    """Print a line a mailbox if ``verbose``, and one for all."""
    if not isinstance(report, RestoreReport):
        _print_compared(report, verbose=verbose)
        return
    for mailbox in report.mailboxes:
        if verbose or report.dry_run:
            out(clean(f"{mailbox.mailbox}: {_mailbox_line(mailbox, dry_run=report.dry_run)}"))
    out(clean(_total_line(report)))


def _print_compared(report: "RestoreVerification", *, verbose: bool) -> None:
    for mailbox in report.mailboxes if verbose else ():
        parts = [f"{count(int(getattr(mailbox, name)))} {name}" for name in _COMPARED[1:] if getattr(mailbox, name)]
        out(clean(f"{mailbox.mailbox}: {', '.join(parts) or 'empty'}"))
    parts = [f"{count(report.total(name))} {name}" for name in _COMPARED[1:] if report.total(name)]
    by = "every octet" if report.full else "size, date and header"
    verdict = "not all is there as it should be" if report.exit_code else "all is there"
    counted = f"{', '.join(parts) or 'nothing'} of {plural(report.total('wanted'), 'message')}"
    out(
        clean(
            f"{report.target}: {verdict}: {counted} in {plural(len(report.mailboxes), 'mailbox')}, "
            f"compared by {by} in {seconds(report.seconds)}"
        )
    )


def _mailbox_line(mailbox: RestoredMailbox, *, dry_run: bool) -> str:
    parts = [
        f"{count(int(getattr(mailbox, name)))} {_WORDS.get(name, name)}" for name in _COUNTS if getattr(mailbox, name)
    ]
    if dry_run:
        parts.insert(0, f"{count(mailbox.to_send)} to send ({size(mailbox.to_send_bytes)})")
        if mailbox.to_copy:
            parts.insert(1, f"{count(mailbox.to_copy)} to copy")
    made = ("to be made; " if dry_run else "made; ") if mailbox.made else ""
    return made + (", ".join(parts) or "empty")


def _total_line(report: RestoreReport) -> str:
    parts = [f"{count(report.total('sent'))} sent ({size(report.total('sent_bytes'))})"]
    if report.dry_run:
        parts = [f"{count(report.total('to_send'))} to send ({size(report.total('to_send_bytes'))})"]
        if report.total("to_copy"):
            parts.append(f"{count(report.total('to_copy'))} to copy")
    parts += [f"{count(report.total(name))} {_WORDS.get(name, name)}" for name in _COUNTS[1:] if report.total(name)]
    done = "nothing was changed" if report.dry_run else f"in {seconds(report.seconds)}"
    return f"{report.target}: {report.status}: {', '.join(parts)}; {plural(len(report.mailboxes), 'mailbox')}; {done}"

"""What a restore did, as text and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from mailarchive.cli.render import clean, count, plural, seconds, size
from mailarchive.cli.terminal import out, say
from mailarchive.ops.restore_report import Refusal, RestoredMailbox, RestoreReport

if TYPE_CHECKING:
    from mailarchive.ops.restore_verify import RestoreVerification

_SHOWN = 20
_COUNTS = ("sent", "copied", "there", "known", "refused", "damaged", "left")
_COMPARED = ("wanted", "same", "changed", "mended", "different", "missing", "removed", "damaged", "uncompared")
_WORDS = {
    "there": "there already",
    "known": "restored before",
    "changed": "with other line ends",
    "uncompared": "not compared",
}


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
        _print_compared_problems(report)
        return
    _print_some([_refusal(refusal, dry_run=report.dry_run) for refusal in report.refusals])
    if mendable := sum(bool(one.fix) and not one.mended for one in report.refusals):
        say(f"mailarchive: of {_numbered(mendable, len(report.refusals))} a mended copy can be sent: --fix-for-target")
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


def _print_compared_problems(report: "RestoreVerification") -> None:
    _print_some(report.problems, report.unlisted)
    if report.total("missing"):
        say(
            "  hint: what is missing is sent by the same command without --verify;"
            " what the server refuses perhaps with --fix-for-target"
        )
    if report.total("removed"):
        say("  hint: what was restored and has been removed is sent again with --again in place of --verify")
    if changed := report.total("changed"):
        say(
            f"mailarchive: the server has made the line ends of {plural(changed, 'message')} CRLF; "
            "the archive has them as they came"
        )


def _print_some(sentences: Sequence[str], unlisted: int = 0) -> None:
    """Print the first sentences; ``unlisted`` more of them are not kept."""
    for sentence in sentences[:_SHOWN]:
        say(f"mailarchive: {clean(sentence)}")
    if len(sentences) > _SHOWN:
        all_or_some = f"{count(len(sentences))} are in --json" if unlisted else "all are in --json"
        say(f"mailarchive: and {count(len(sentences) + unlisted - _SHOWN)} more ({all_or_some})")


def _numbered(some: int, of_all: int) -> str:
    """Return how many of all."""
    if some < of_all:
        return f"{count(some)} of them"
    return "it" if of_all == 1 else "them"


def _refusal(refusal: Refusal, *, dry_run: bool) -> str:
    verb = f"{'will be' if dry_run else 'was'} {'mended and sent' if refusal.mended else 'refused'}"
    odd = f"; {refusal.odd}" if refusal.odd not in refusal.reason else ""
    fix = f" ({'' if refusal.mended else 'could be mended: '}{refusal.fix})" if refusal.fix else ""
    return (
        f"{refusal.mailbox}: message {refusal.digest[:12]} of {refusal.source} ({size(refusal.size)}) "
        f"{verb}: {refusal.reason}{odd}{fix}"
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
        parts = _counted({name: int(getattr(mailbox, name)) for name in _COMPARED[1:]})
        out(clean(f"{mailbox.mailbox}: {', '.join(parts) or 'empty'}"))
    parts = _counted({name: report.total(name) for name in _COMPARED[1:]})
    by = "every octet" if report.full else "size, date and header"
    verdict = "not all is there as it should be" if report.exit_code else "all is there"
    counted = f"{', '.join(parts) or 'nothing'} of {plural(report.total('wanted'), 'message')}"
    out(
        clean(
            f"{report.target}: {verdict}: {counted} in {plural(len(report.mailboxes), 'mailbox')}, "
            f"compared by {by} in {seconds(report.seconds)}"
        )
    )


def _counted(counts: Mapping[str, int]) -> list[str]:
    """Return each count that is not 0, in words."""
    return [f"{count(number)} {_WORDS.get(name, name)}" for name, number in counts.items() if number]


def _mailbox_line(mailbox: RestoredMailbox, *, dry_run: bool) -> str:
    parts = _counted({name: int(getattr(mailbox, name)) for name in _COUNTS})
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
    parts += _counted({name: report.total(name) for name in _COUNTS[1:]})
    done = "nothing was changed" if report.dry_run else f"in {seconds(report.seconds)}"
    return f"{report.target}: {report.status}: {', '.join(parts)}; {plural(len(report.mailboxes), 'mailbox')}; {done}"

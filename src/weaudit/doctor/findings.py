"""What `weaudit doctor` can find wrong: every code, how bad it is, and what it means (docs/doctor.md)."""

import json
import shlex
from dataclasses import dataclass
from typing import Any

from weaudit.doctor.template import UNKNOWN

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be: its code, the resource, what it is, and what to do (a command)."""

    code: str
    resource: str
    what: str
    do: str

    @property
    def severity(self) -> str:
        """``error`` where changes are lost or unprotected, or something does not work; else ``warning``."""
        return CODES[self.code][0]

    def document(self) -> dict[str, str]:
        """Return the finding as JSON shows it."""
        return {
            "code": self.code,
            "severity": self.severity,
            "resource": self.resource,
            "what": self.what,
            "do": self.do,
        }


CODES: dict[str, tuple[str, str]] = {
    "stack-failed": (ERROR, "The last work on the stack failed, or is still going on."),
    "stack-unprotected": (WARNING, "Retain is true, and the stack may be deleted all the same."),
    "last-release": (WARNING, "The newest deployment failed or was interrupted; what runs is an earlier release."),
    "release-differs": (ERROR, "What answers GET /v1/health is another release than the stack's."),
    "version-differs": (WARNING, "This command is of another version than what is deployed."),
    "health": (ERROR, "GET /v1/health fails, or says that a table is not reachable."),
    "not-checked": (WARNING, "Something could not be read, so it is not known whether it is as it should be."),
    "resource-gone": (ERROR, "A resource of the stack is not there any more."),
    "stream-off": (ERROR, "A table's stream is off: none of its changes is audited, or sealed."),
    "stream-view": (ERROR, "A stream does not carry old and new images: its changes cannot be audited."),
    "stream-replaced": (ERROR, "A mapping reads an earlier stream of its table: later changes are not audited."),
    "mapping-disabled": (ERROR, "A function does not get its events; a stream forgets them after 24 hours."),
    "mapping-elsewhere": (ERROR, "Events go to something else than the function's alias."),
    "mapping-failing": (ERROR, "The last batch of a mapping failed; it is tried again until its records are too old."),
    "backlog": (WARNING, "The oldest record waits for longer than a minute."),
    "alias-elsewhere": (ERROR, "An alias points at another version than the one that the release published."),
    "alias-weights": (WARNING, "An alias sends part of its calls to a second version."),
    "function-stopped": (ERROR, "A function cannot run: its concurrency is 0, or Lambda says that it is not active."),
    "quarantine": (ERROR, "Changes or objects could not be processed, and wait in the evidence bucket (30 days)."),
    "given-up": (
        ERROR,
        "Lambda gave up on records of a stream after 23 hours; they wait in the evidence bucket (30 days).",
    ),
    "failed-events": (ERROR, "Lambda gave up on events, and they wait in the queue of failed events (14 days)."),
    "undelivered": (
        ERROR,
        "EventBridge could not deliver events, or Lambda gave up on records; a queue says which (14 days).",
    ),
    "nothing-kept": (ERROR, "What cannot be processed or delivered is kept nowhere: its destination was taken away."),
    "table-unprotected": (ERROR, "Retain is true, and a table may be deleted all the same."),
    "table-recovery": (ERROR, "A table has no point-in-time recovery."),
    "table-keeps-erased": (
        ERROR,
        "The table of keys has point-in-time recovery: what is erased there can be brought back.",
    ),
    "table-key": (ERROR, "A table is not encrypted with the key that the parameters name."),
    "bucket-public": (ERROR, "A bucket does not block public access."),
    "bucket-versioning": (ERROR, "A bucket does not keep versions: what is overwritten or deleted is gone."),
    "bucket-unlocked": (ERROR, "The ledger's bucket has no Object Lock: what is sealed can be deleted."),
    "bucket-encryption": (ERROR, "A bucket does not encrypt as the template says."),
    "bucket-notification": (ERROR, "A bucket does not tell of its objects: they are neither logged nor processed."),
    "policy-changed": (
        ERROR,
        "The policy of a bucket, queue, topic or key is not the template's: it lets in more, or less.",
    ),
    "role-changed": (ERROR, "A function's role may do more, or less, than the template says."),
    "log-retention": (WARNING, "A log group keeps its lines for longer, or shorter, than the template says."),
    "log-key": (WARNING, "A log group is not encrypted with the key that the parameters name."),
    "rule-disabled": (ERROR, "A rule of EventBridge is off: what it hands on is not processed, or not told of."),
    "rule-changed": (
        ERROR,
        "A rule of EventBridge looks for other events, has another clock, or calls something else.",
    ),
    "key-unusable": (
        ERROR,
        "A key cannot be used: what it encrypts can be neither read nor written, or nothing is signed.",
    ),
    "ledger-findings": (
        ERROR,
        "Rows of the trail were changed, removed or forged within the last week, says the ledger.",
    ),
    "ledger-silent": (ERROR, "The ledger was not sealed for two hours: after 24 hours, streams forget."),
    "ledger-unsound": (ERROR, "The end of the ledger is not what its key has signed."),
    "alarm-off": (ERROR, "An alarm rings for nobody: its actions are off, or were taken away."),
    "alarm-changed": (ERROR, "An alarm, or the filter of the log that it counts by, is not the template's."),
    "alarm-ringing": (ERROR, "An alarm is ringing."),
    "alarm-unheard": (WARNING, "Alarms go to a topic that nobody has subscribed to."),
    "subscription-waiting": (WARNING, "Somebody has not confirmed the subscription to the alarms yet."),
    "watch-broken": (ERROR, "The changes of a watched table are not audited."),
    "watch-outdated": (WARNING, "The stack of a watched table is not what this version would make of it."),
    "configuration-item": (WARNING, "An item of Configuration that functions go by cannot be taken as it is."),
    "clock": (WARNING, "This machine's clock is off: AWS refuses signatures at five minutes."),
}
"""Every code: its severity and what it means."""


def spelled(document: Any) -> str:
    """Return a document as a word of the shell; what only AWS knows in it is an asterisk."""
    return shlex.quote(json.dumps(document, separators=(",", ":")).replace(json.dumps(UNKNOWN)[1:-1], "*"))

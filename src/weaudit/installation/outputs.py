"""An installed WeAudit as commands find it: its target, and the names of its stack's resources."""

from dataclasses import dataclass, field
from pathlib import Path

from weaudit.errors import DeployError
from weaudit.installation import stacks
from weaudit.installation.stages import Stage
from weaudit.installation.targets import Target


@dataclass(frozen=True, slots=True)
class Installation:
    """One stack of WeAudit, with its outputs by name."""

    target: Target
    outputs: dict[str, str]
    stage: Stage = field(default_factory=Stage)

    @classmethod
    def find(cls, state_dir: Path | None = None, stage: Stage | None = None) -> "Installation":
        """Return the installation of ``stage``, or of WEAUDIT_STAGE and WEAUDIT_PREFIX.

        Raises DeployError if its stack does not exist or has never been deployed completely.
        """
        stage = stage or Stage.of()
        target = Target.resolve(state_dir=state_dir)
        found = stacks.describe(target, stage.stack)
        if found is None:
            raise DeployError(
                f"there is no stack {stage.stack} on {target.describe()}\nDeploy it first: `weaudit up` does on the "
                f"embedded engine, `weaudit deploy {stage.options}` on AWS. Set WEAUDIT_STAGE for another stage."
            )
        if not found.outputs:
            raise DeployError(
                f"the stack {stage.stack} on {target.describe()} is {found.status}: it was never deployed completely\n"
                f"Wait if it is being deployed, or deploy it: `weaudit deploy {stage.options}`."
            )
        return cls(target, found.outputs, stage)

    @property
    def audit_table(self) -> str:
        """The name of the Audit table."""
        return self.outputs["AuditTableName"]

    @property
    def configuration_table(self) -> str:
        """The name of the Configuration table."""
        return self.outputs["ConfigurationTableName"]

    @property
    def images_table(self) -> str:
        """The name of the Images table."""
        return self.outputs["ImagesTableName"]

    @property
    def own_streams(self) -> dict[str, str]:
        """The streams of the tables that the stack itself watches, by the table's name."""
        return {
            self.configuration_table: self.outputs["ConfigurationStreamArn"],
            self.images_table: self.outputs["ImagesStreamArn"],
        }

    @property
    def trigger_bucket(self) -> str:
        """The name of the bucket whose new objects are logged."""
        return self.outputs["BucketName"]

    @property
    def invocation_log(self) -> str:
        """The name of the table that holds the invocation log."""
        return self.outputs["DynamoDBTableName"]

    @property
    def evidence_bucket(self) -> str:
        """The name of the evidence bucket."""
        return self.outputs["EvidenceBucketName"]

    @property
    def ledger_bucket(self) -> str:
        """The name of the ledger's bucket."""
        return self.outputs["LedgerBucketName"]

    @property
    def ledger_key(self) -> str:
        """The ARN of the key that signs the ledger."""
        return self.outputs["LedgerKeyArn"]

    @property
    def ledger_origin(self) -> str:
        """The ledger's name, with which its checkpoints begin."""
        return self.outputs["LedgerOrigin"]

    @property
    def ledger_sealer(self) -> str:
        """The ARN of ledger_sealer's alias ``live``."""
        return self.outputs["LedgerSealerAliasArn"]

    @property
    def audit_producer(self) -> str:
        """The ARN of audit_producer's alias ``learn``."""
        return self.outputs["AuditProducerAliasArn"]

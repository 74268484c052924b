"""The task between plan and delivery: a plan that trips no guard passes, another waits for a person's answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from include import steps
from include.activate.guards import HELD_FOR
from include.connect.errors import StopSync

if TYPE_CHECKING:
    from airflow.sdk import Context

COUNTED = ("enter", "update", "leave", "unchanged", "suppressed", "invalid")


class ApprovePlan(ApprovalOperator):
    """Asks under *Required Actions* whether to send a held plan; holds no worker while it waits.

    The result names who approved it (`approved_by`), or is empty where nobody had to be asked. A refusal skips the
    delivery and is kept with the plan.

    Args:
        planned: what the plan task returned.
    """

    template_fields = ("planned",)
    may_wait = True
    """Whether somebody could answer; not where the DAG runs without a scheduler."""

    def __init__(self, *, planned: Any, **kwargs: Any) -> None:
        super().__init__(subject="Send the plan?", response_timeout=HELD_FOR, **kwargs)
        self.planned = planned

    def execute(self, context: Context) -> Any:
        """Ask, where a guard holds the plan and the run was not started to approve one.

        Raises:
            StopSync: the plan is held and nobody could answer.
        """
        if self.planned["status"] != "held" or context["params"].get("approve"):
            return None
        plan_id = self.planned["plan_id"]
        held = StopSync(
            f"plan {plan_id} is held: {self.planned['reason']}",
            where=self.planned["sync"],
            fix=f"Look at it, then answer under Required Actions or trigger this DAG with approve = {plan_id}, "
            f"within {HELD_FOR.total_seconds() / 3600:.0f} h.",
        )
        if not self.may_wait:
            raise held
        from include.notify.task import tell

        tell(context["ti"], held)
        self.subject = f"Send {self.planned['sync']}?"
        self.body = question(self.planned)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Take the answer; a refusal leaves by the exception with which Airflow skips what comes after."""
        by = (event.get("responded_by_user") or {}).get("name") or "somebody"
        if event.get("chosen_options") == [self.REJECT]:
            steps.sync_refuse(self.planned["plan_id"], by)
        super().execute_complete(context, event)
        return {"approved_by": by}

    def process_trigger_event_error(self, event: dict[str, Any]) -> None:
        """Nobody answered in time, or not as asked."""
        raise StopSync(
            f"plan {self.planned['plan_id']} was not answered ({event['error_type']}): nothing was sent",
            where=self.planned["sync"],
            fix="The next run makes the plan anew and asks again.",
        )


def question(planned: dict[str, Any]) -> str:
    """What the person is asked, in Markdown: counts and reason, no personal data."""
    segment, _, destination = planned["sync"].partition("__")
    return "\n".join(
        (
            f"**Held because** {planned['reason']}.",
            "",
            f"| {' | '.join(COUNTED)} |",
            "|" + " --- |" * len(COUNTED),
            f"| {' | '.join(f'{planned[name]:,}' for name in COUNTED)} |",
            "",
            f"Rows: `activation.plan_rows` of plan `{planned['plan_id']}`, or `stitchline segment preview {segment}` "
            f"and `stitchline sync plan {segment} {destination}`.",
            "",
            "**Approve** sends exactly these rows, if list and destination are still the same. **Reject** sends "
            "nothing, and the same rows are not asked about again. Without an answer nothing is sent and the next run "
            "asks again.",
        )
    )

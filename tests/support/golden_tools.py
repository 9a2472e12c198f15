"""Where our tools differ on purpose from the recorded program's: what is asked about, patches, MCP.

These rules are as those of `golden_rules`: each is used in the cases that name it, must change
something there, and says why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from attrs import evolve, frozen
from support.golden import Recording, Run, Timed, script_items
from support.golden_compare import Json, replaced
from support.golden_recorder import Rule, with_events, with_items


def asked_about_without_a_sandbox(*call_ids: str) -> Rule:
    """A rule for the commands that the old program trusted, also without a sandbox. We do not
    trust there what finds its files by itself: nothing would hide those that may not be read.

    The user says yes, so all the rest is as recorded.
    """

    def change(recording: Recording) -> Recording:
        (run,) = recording.runs
        events: list[Timed] = []
        answers: list[Timed] = []
        for event in run.events:
            call_id = event.body.get("call_id")
            if event.type == "exec_command_begin" and call_id in call_ids:
                events.append(evolve(event, body={**event.body, "type": "exec_approval_request"}))
                answer = {"type": "exec_approval", "id": event.id, "decision": "approved"}
                answers.append(Timed(event.t, f"yes to {call_id}", answer))
            events.append(event)
        submissions = sorted((*run.submissions, *answers), key=lambda submission: submission.t)
        return evolve(recording, runs=(Run(tuple(submissions), tuple(events)),))

    return change


def patches_are_no_commands(recording: Recording) -> Recording:
    """The old program announced what it says of a patch as a command's output too; that is in
    the end of the patch."""
    patches = {e.body["call_id"] for e in recording.events if e.type == "patch_apply_begin"}
    return with_events(
        recording,
        lambda events: (
            event
            for event in events
            if event.type != "exec_command_output_delta" or event.body["call_id"] not in patches
        ),
    )


def turn_diffs_come_when_they_change(recording: Recording) -> Recording:
    """The old program repeated the turn's diff with every response after the first patch."""

    def change(events: tuple[Timed, ...]) -> Iterator[Timed]:
        last = None
        for event in events:
            if event.type != "turn_diff" or event.body != last:
                yield event
            if event.type == "turn_diff":
                last = event.body

    return with_events(recording, change)


@frozen
class Added:
    """A file that a patch adds."""

    path: str
    """From the working directory."""
    name: str
    """As the patch calls it."""
    content: str
    """One line."""

    @property
    def change(self) -> Json:
        """As `changes` has it."""
        return {f"{{CWD}}/{self.path}": {"add": {"content": self.content}}}

    @property
    def told(self) -> str:
        """What is said of it when it is there."""
        return f"Success. Updated the following files:\nA {self.name}\n"

    @property
    def section(self) -> str:
        """Its part of the turn's diff."""
        data = self.content.encode()
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        return (
            f"diff --git a/{self.path} b/{self.path}\nnew file mode 100644\n"
            f"index {'0' * 40}..{blob}\n--- /dev/null\n+++ b/{self.path}\n"
            f"@@ -0,0 +1 @@\n+{self.content}"
        )


def more_commands_are_patches(added: Mapping[str, Added]) -> Rule:
    """A rule for the commands, by call id, that are patches for us and were not for the old
    program: those behind `cd DIR &&`, and `applypatch`."""

    def change(events: tuple[Timed, ...]) -> Iterator[Timed]:
        diff = ""
        for event in events:
            if event.type == "turn_diff":
                diff = event.body["unified_diff"]
            call_id = event.body.get("call_id", "")
            file = added.get(call_id)
            if file is None:
                yield event
            elif event.type == "exec_command_begin":
                body = {"call_id": call_id, "auto_approved": True, "changes": file.change}
                yield evolve(event, body={"type": "patch_apply_begin", **body})
            elif event.type == "exec_command_end":
                body = {"call_id": call_id, "stdout": file.told, "stderr": "", "success": True}
                yield evolve(event, body={"type": "patch_apply_end", **body})
                diff = _with_section(diff, file)
                yield evolve(event, body={"type": "turn_diff", "unified_diff": diff})

    def retold(items: tuple[Json, ...]) -> Iterator[Json]:
        for item in items:
            file = added.get(item.get("call_id", ""))
            if file is None or item["type"] != "function_call_output":
                yield item
            else:
                output = {"output": file.told, "metadata": {"exit_code": 0}}
                yield {**item, "output": output}

    return lambda recording: with_items(with_events(recording, change), retold)


def _with_section(diff: str, file: Added) -> str:
    """`diff` with the part of `file` where it belongs: files stand in the order of their names."""
    head = "diff --git "
    sections = [*(head + section for section in diff.split(head) if section), file.section]
    return "".join(sorted(sections, key=lambda section: section.partition(" b/")[2]))


def refusals_are_announced(*call_ids: str) -> Rule:
    """A rule for the calls that the old program refused without telling the user: what the model
    is told, we announce too."""

    def change(recording: Recording) -> Recording:
        said = {item.get("call_id"): item.get("output") for item in recording.rollout}
        calls = [next(iter(script_items([response])), "") for response in recording.responses]

        def announced(events: tuple[Timed, ...]) -> Iterator[Timed]:
            # A response's tokens are counted when its call has been answered.
            answered = iter(calls)
            for event in events:
                call_id = next(answered) if event.type == "token_count" else ""
                if call_id in call_ids:
                    yield evolve(event, body={"type": "background_event", "message": said[call_id]})
                yield event

        return with_events(recording, announced)

    return change


def tools_are_told_by(output: Mapping[str, str]) -> Rule:
    """A rule that puts our texts in the place of the recorded outputs, by call id.

    Why they differ stands beside each.
    """

    def retold(items: tuple[Json, ...]) -> Iterator[Json]:
        for item in items:
            ours = output.get(item.get("call_id", ""))
            if ours is None or item["type"] != "function_call_output":
                yield item
            else:
                yield {**item, "output": ours}

    return lambda recording: with_items(recording, retold)


def servers_tools_are_listed(recording: Recording) -> Recording:
    """The recorded client did not wait for the answer to `list_mcp_tools`, and the old program
    gave none. We answer when the servers have started."""
    (run,) = recording.runs
    asked = next(s for s in run.submissions if s.type == "list_mcp_tools")

    def change(events: tuple[Timed, ...]) -> Iterator[Timed]:
        for event in events:
            yield event
            if event.type == "error" and event.id == "0":
                tools = {"demo__echo": {}, "demo__fail": {}}
                body = {"type": "mcp_list_tools_response", "tools": tools}
                yield evolve(event, id=asked.id, body=body)

    return with_events(recording, change)


def our_server_says_more(recording: Recording) -> Recording:
    """The library that our MCP server is made with puts words of its own before an error."""
    ours = [("it failed", "Error executing tool fail: it failed")]
    changed = with_events(
        recording, lambda events: (evolve(e, body=replaced(e.body, ours)) for e in events)
    )
    return with_items(changed, lambda items: replaced(items, ours))

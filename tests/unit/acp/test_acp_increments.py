"""Messages that no server has named are named by the items that they become."""

from __future__ import annotations

from codex_rpc.acp.increments import Names


def test_a_server_that_names_its_items_is_believed() -> None:
    names = Names(3, lambda: True)
    assert names.of("message", "msg_1") == "msg_1"
    assert names.of("message", "") == "item-3"


def test_what_grows_together_is_recorded_in_the_order_in_which_it_began() -> None:
    names = Names(1, lambda: False)
    assert names.of("reasoning", "c") == "item-1"
    assert names.of("message", "c") == "item-2"
    assert names.of("reasoning", "c") == "item-1"
    names.recorded("reasoning")
    assert names.of("reasoning", "c") == "item-1"
    names.recorded("message")
    assert names.of("message", "c") == "item-2"
    # A call, its output, and an answer under the same name as before.
    names.recorded(None)
    names.recorded(None)
    assert names.of("message", "c") == "item-5"


def test_what_comes_whole_has_the_place_in_which_it_was_recorded() -> None:
    names = Names(0, lambda: False)
    names.recorded(None)
    names.recorded("message")
    assert names.of("message", "a") == "item-1"
    assert names.of("message", "b") == "item-2"
    names.recorded("message")
    assert names.of("message", "b") == "item-2"
    names.recorded("reasoning")
    # A thought without a word is followed by one with several parts.
    names.recorded("reasoning")
    assert names.of("reasoning", "t") == "item-4"
    assert names.of("reasoning", "t") == "item-4"


def test_what_came_to_nothing_keeps_its_name_for_itself() -> None:
    names = Names(0, lambda: False)
    assert names.of("message", "a") == "item-0"
    names.forget()
    assert names.of("message", "a") == "item-0~1"
    names.recorded("message")
    assert names.of("message", "a") == "item-0~1"
    names.recorded(None)
    assert names.of("message", "a") == "item-2"


def test_an_item_without_a_name_keeps_the_one_that_was_told_while_it_grew() -> None:
    names = Names(0, lambda: True)
    assert names.of("message", "invented") == "invented"
    names.recorded("message")
    assert names.of("message", "invented") == "invented"
    names.recorded("message")
    assert names.of("message", "invented again") == "item-1"

"""The tunnel lane as a conversation: what the client says, and what is done about it, without a socket."""

import itertools
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.decision import Cause
from proxy_addons.lane_states import (
    HELD_BYTES,
    Action,
    Actions,
    AskWay,
    Dial,
    Do,
    EndVisit,
    GiveAway,
    LaneStates,
    Open,
    Refuse,
    Way,
)
from tests.client_hellos import client_hello, in_two_records

HOST = "site.example"
CONNECT = b"CONNECT site.example:443 HTTP/1.1\r\nHost: site.example:443\r\n\r\n"
HELLO = client_hello(HOST)
ASKED = AskWay(HOST, 443, None)
LEFT_EARLY = EndVisit("the client left before anything was shown")


class Talk:
    """A conversation; `done` is all that the lane did so far, in order."""

    def __init__(self, way: Way = Way.TUNNEL) -> None:
        self.states = LaneStates()
        self.way = way
        self.done: list[Action] = []
        self._do(self.states.accepted())

    def _do(self, actions: Actions) -> list[Action]:
        before = len(self.done)
        for action in actions:
            self.done.append(action)
            if isinstance(action, AskWay):
                self._do(self.states.judged(self.way))
        return self.done[before:]

    def client_says(self, data: bytes) -> list[Action]:
        return self._do(self.states.received(data))

    def client_ends(self) -> list[Action]:
        return self._do(self.states.client_ended())

    def client_is_lost(self) -> list[Action]:
        return self._do(self.states.client_lost())

    def origin_answers(self) -> list[Action]:
        return self._do(self.states.dialled())

    def origin_is_out_of_reach(self, *, may_show_page: bool) -> list[Action]:
        return self._do(self.states.dial_failed("Connection refused", may_show_page=may_show_page))

    def origin_ends(self) -> list[Action]:
        return self._do(self.states.origin_ended())

    def origin_is_lost(self) -> list[Action]:
        return self._do(self.states.origin_lost())

    def time_is_over(self) -> list[Action]:
        return self._do(self.states.waited_long_enough())

    def something_fails(self) -> list[Action]:
        return self._do(self.states.failed())

    def is_over(self) -> bool:
        ends = (EndVisit, GiveAway, Refuse)
        return any(isinstance(action, ends) or action in (Do.CLOSE, Do.ABORT) for action in self.done)


def open_talk() -> Talk:
    talk = Talk()
    talk.client_says(CONNECT)
    talk.client_says(HELLO)
    talk.origin_answers()
    return talk


def test_tunnel_from_its_head_to_its_end() -> None:
    talk = Talk()
    assert talk.done == [Do.WAIT_FOR_FIRST_BYTE]
    assert talk.client_says(CONNECT) == [
        *(Do.WAIT_FOR_HEAD, ASKED, Do.BEGIN_VISIT, Do.ANSWER, Do.WAIT_FOR_HELLO)
    ]
    assert talk.client_says(HELLO) == [Do.WAIT_FOR_ORIGIN, Dial(HOST, 443)]
    assert talk.origin_answers() == [Do.STOP_WAITING, Open(HELLO)]
    assert talk.client_ends() == [Do.END_UP]
    assert talk.origin_ends() == [Do.CLOSE]
    assert talk.client_is_lost() == [Do.LET_ORIGIN_GO, EndVisit()]
    assert talk.origin_is_lost() == [Do.CLOSE]


def test_origin_server_may_say_its_last_word_first() -> None:
    talk = open_talk()
    assert talk.origin_ends() == [Do.END_DOWN]
    assert talk.client_ends() == [Do.CLOSE]


def test_what_the_origin_server_said_last_is_flushed_when_it_is_gone() -> None:
    talk = open_talk()
    assert talk.origin_is_lost() == [Do.CLOSE]
    assert talk.client_is_lost() == [Do.LET_ORIGIN_GO, EndVisit()]


@pytest.mark.parametrize(
    "said",
    [b"GET http://site.example/ HTTP/1.1\r\n", b"CONNECT site.example:443 HTTP/1.0\r\n\r\n", b"\x16\x03"],
)
def test_what_is_no_plain_connect_is_given_away_untouched(said: bytes) -> None:
    talk = Talk()
    assert talk.client_says(said) == [Do.WAIT_FOR_HEAD, Do.STOP_WAITING, GiveAway(said, is_answered=False)]
    assert talk.client_is_lost() == []


def test_connect_that_is_not_for_the_lane_is_given_away_untouched() -> None:
    talk = Talk(Way.UNTOUCHED)
    talk.client_says(CONNECT[:20])
    assert talk.client_says(CONNECT[20:] + b"more") == [
        *(ASKED, Do.STOP_WAITING, GiveAway(CONNECT + b"more", is_answered=False))
    ]


def test_blocked_connect_is_answered_and_given_away_with_what_came_after_it() -> None:
    talk = Talk(Way.ANSWERED)
    assert talk.client_says(CONNECT + HELLO) == [
        *(Do.WAIT_FOR_HEAD, ASKED, Do.BEGIN_VISIT, Do.ANSWER, Do.STOP_WAITING),
        GiveAway(HELLO, is_answered=True),
    ]


@pytest.mark.parametrize(
    "said", [client_hello("other.example"), b"SSH-2.0-OpenSSH_9.2\r\n", HELLO + b"early"]
)
def test_what_is_no_hello_to_the_same_host_is_given_away_behind_the_answer(said: bytes) -> None:
    talk = Talk()
    talk.client_says(CONNECT)
    assert talk.client_says(said) == [Do.STOP_WAITING, GiveAway(said, is_answered=True)]


def test_origin_server_out_of_reach_is_a_page_where_one_may_be_shown() -> None:
    talk = Talk()
    talk.client_says(CONNECT + HELLO)
    assert talk.origin_is_out_of_reach(may_show_page=True) == [
        *(Do.STOP_WAITING, GiveAway(HELLO, is_answered=True, dial_error="Connection refused"))
    ]


def test_origin_server_out_of_reach_is_a_refusal_where_no_page_may_be_shown() -> None:
    talk = Talk()
    talk.client_says(CONNECT + HELLO)
    refused = Refuse(Cause.UNREACHABLE, "Connection refused", has_alert=True)
    assert talk.origin_is_out_of_reach(may_show_page=False) == [Do.STOP_WAITING, refused]
    assert talk.client_is_lost()[-1] == LEFT_EARLY  # but a visit keeps the refusal that it has


def test_client_that_leaves_while_dialling_stops_the_dial() -> None:
    talk = Talk()
    talk.client_says(CONNECT + HELLO)
    assert talk.client_ends() == [Do.CLOSE]
    assert talk.client_is_lost() == [Do.STOP_WAITING, Do.LET_ORIGIN_GO, LEFT_EARLY]
    assert talk.origin_answers() == []


def test_last_word_that_is_said_while_dialling_is_passed_on() -> None:
    talk = Talk()
    talk.client_says(CONNECT + HELLO)
    talk.client_says(b"and that is all")
    assert talk.client_ends() == []
    assert talk.origin_answers() == [Do.STOP_WAITING, Open(HELLO + b"and that is all"), Do.END_UP]


def test_client_that_says_much_while_dialling_is_paused_once_and_read_on_before_it_is_passed_on() -> None:
    talk = Talk()
    talk.client_says(CONNECT + HELLO)
    assert talk.client_says(bytes(HELD_BYTES)) == [Do.PAUSE]
    assert talk.client_says(b"in the same turn") == []
    assert talk.origin_answers()[:2] == [Do.STOP_WAITING, Do.RESUME]


@pytest.mark.parametrize(
    ("said", "then"),
    [
        (b"", [Do.ABORT]),
        (CONNECT[:9], [Do.STOP_WAITING, GiveAway(CONNECT[:9], is_answered=False)]),
        (CONNECT, [Do.STOP_WAITING, Refuse(Cause.NOT_TLS, "no ClientHello in time")]),
        (CONNECT + HELLO[:50], [Do.STOP_WAITING, Refuse(Cause.NOT_TLS, "no ClientHello in time")]),
    ],
)
def test_client_that_says_no_more_is_let_go(said: bytes, then: list[Action]) -> None:
    talk = Talk()
    if said:
        talk.client_says(said)
    assert talk.time_is_over() == then


@pytest.mark.parametrize(
    ("said", "then"),
    [
        (CONNECT[:9], [Do.STOP_WAITING, GiveAway(CONNECT[:9], is_answered=False)]),
        (CONNECT, [Do.STOP_WAITING, Refuse(Cause.FAULT, "deciding failed")]),
        (CONNECT + HELLO, [Do.STOP_WAITING, Refuse(Cause.FAULT, "deciding failed")]),
    ],
)
def test_failure_is_judged_by_the_addons_before_the_answer_and_closes_after_it(
    said: bytes, then: list[Action]
) -> None:
    talk = Talk()
    talk.client_says(said)
    assert talk.something_fails() == then
    assert talk.something_fails() == [Do.ABORT]


def test_failure_of_an_open_tunnel_lets_the_origin_server_go() -> None:
    talk = open_talk()
    assert talk.something_fails() == [Do.STOP_WAITING, Refuse(Cause.FAULT, "deciding failed")]
    assert Do.LET_ORIGIN_GO in talk.client_is_lost()


def test_deciding_that_fails_gives_the_whole_connect_away() -> None:
    states = LaneStates()
    assert states.received(CONNECT)[-1] == ASKED
    assert states.failed()[-1] == GiveAway(CONNECT, is_answered=False)


CONVERSATIONS = [
    CONNECT + HELLO,
    CONNECT + in_two_records(HELLO),
    CONNECT + client_hello("other.example"),
    CONNECT + b"GET / HTTP/1.1\r\n\r\n",
    CONNECT.replace(b"\r\nHost", b"\r\nProxy-Authorization: Basic YTpi\r\nHost") + HELLO,
    b"GET http://site.example/ HTTP/1.1\r\nHost: site.example\r\n\r\n",
    CONNECT.replace(b"site", b"-") + HELLO,
]
ways = st.sampled_from(Way)


def pieces(whole: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    edges = [0, *sorted({cut % len(whole) for cut in cuts} - {0}), len(whole)]
    return (whole[start:end] for start, end in itertools.pairwise(edges))


def told_apart(done: list[Action]) -> tuple[list[Action], bytes]:
    """Return what was done but for the bytes that were given away, and those."""
    given = b"".join(action.data for action in done if isinstance(action, GiveAway))
    return [
        GiveAway(b"", action.is_answered, action.dial_error) if isinstance(action, GiveAway) else action
        for action in done
    ], given


@given(
    st.sampled_from(CONVERSATIONS), ways, st.lists(st.integers(min_value=0, max_value=10_000), max_size=40)
)
def test_any_split_of_the_bytes_has_the_same_done_as_the_whole(
    whole: bytes, way: Way, cuts: list[int]
) -> None:
    in_one, in_pieces = Talk(way), Talk(way)
    in_one.client_says(whole)
    said = b""
    for piece in pieces(whole, cuts):
        if not in_pieces.is_over():
            said += piece
            in_pieces.client_says(piece)
    at_once, given_at_once = told_apart(in_one.done)
    bit_by_bit, given = told_apart(in_pieces.done)
    assert bit_by_bit == at_once
    # What is given away goes on with mitmproxy, and so does whatever comes after it.
    assert given_at_once.startswith(given)
    assert given in (b"", said, said[len(whole) - len(given_at_once) :])


garbage = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda whole, at, new: whole[: at % len(whole)] + new + whole[at % len(whole) + len(new) :],
        st.sampled_from([CONNECT + b"\x16\x03\x01", CONNECT]),
        st.integers(min_value=0, max_value=500),
        st.binary(min_size=1, max_size=8),
    ),
)


@given(st.lists(garbage, max_size=6), ways)
def test_garbage_is_never_dialled_for(said: list[bytes], way: Way) -> None:
    talk = Talk(way)
    for each in said:
        if each and not talk.is_over():
            talk.client_says(each)
    assert not any(isinstance(action, Dial) for action in talk.done)


@given(st.binary(min_size=1, max_size=8), st.integers(min_value=0, max_value=len(HELLO) - 1))
def test_altered_hello_is_dialled_for_only_while_it_names_the_host_that_was_asked_for(
    new: bytes, at: int
) -> None:
    talk = Talk()
    talk.client_says(CONNECT)
    altered = HELLO[:at] + new + HELLO[at + len(new) :]
    talk.client_says(altered)
    if any(isinstance(action, Dial) for action in talk.done):
        assert HOST.encode() in altered.lower()


events = st.lists(
    st.one_of(
        st.sampled_from([CONNECT, HELLO, CONNECT + HELLO, CONNECT[:30], CONNECT[30:], b"bytes"]),
        st.sampled_from(
            [
                Talk.client_ends,
                Talk.origin_answers,
                Talk.origin_ends,
                Talk.origin_is_lost,
                Talk.time_is_over,
                Talk.something_fails,
                lambda talk: talk.origin_is_out_of_reach(may_show_page=True),
                lambda talk: talk.origin_is_out_of_reach(may_show_page=False),
            ]
        ),
    ),
    max_size=12,
)


@given(events, ways)
def test_whatever_happens_there_is_one_answer_and_a_visit_that_began_ends_once(
    happening: list[object], way: Way
) -> None:
    talk = Talk(way)
    for event in happening:
        if any(isinstance(action, GiveAway | Refuse) or action is Do.ABORT for action in talk.done):
            break
        if isinstance(event, bytes):
            talk.client_says(event)
        elif callable(event):
            event(talk)
    talk.client_is_lost()
    talk.client_is_lost()
    begun, ended = talk.done.count(Do.BEGIN_VISIT), 0
    for action in talk.done:
        ended += isinstance(action, EndVisit) or (isinstance(action, GiveAway) and action.is_answered)
    assert talk.done.count(Do.ANSWER) == begun == ended <= 1
    assert sum(isinstance(action, Dial | Open | GiveAway) for action in talk.done) <= 2
    opened = [number for number, action in enumerate(talk.done) if isinstance(action, Open)]
    assert len(opened) <= 1
    dialled = [number for number, action in enumerate(talk.done) if isinstance(action, Dial)]
    assert not opened or dialled[0] < opened[0]

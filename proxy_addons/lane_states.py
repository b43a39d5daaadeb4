"""What the tunnel lane does with one connection: what happens goes in, what is to be done comes out.

No socket, clock or policy here; `tunnel_lane` carries out what is said. Once a tunnel is open its bytes
do not pass through here any more, only its ends do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from categories.host_name import HostNameError, canonical_host
from policy.decision import Cause
from proxy_addons.client_hello import server_name_of
from proxy_addons.connect_head import LessPlainError, read_head

HELD_BYTES = 64 << 10
"""What is kept of a client that goes on before its tunnel is open; then it is read no further."""

LEFT_EARLY = "the client left before anything was shown"
"""The refusal of a visit whose client has gone before its origin server, or a page, has answered."""


class Way(Enum):
    """Where a CONNECT goes."""

    TUNNEL = auto()
    ANSWERED = auto()
    """To mitmproxy, behind the lane's 200: it is blocked, or opened."""
    UNTOUCHED = auto()
    """To mitmproxy as it came."""


class Do(Enum):
    """What is to be done, where that needs no more words."""

    WAIT_FOR_FIRST_BYTE = auto()
    WAIT_FOR_HEAD = auto()
    WAIT_FOR_HELLO = auto()
    WAIT_FOR_ORIGIN = auto()
    STOP_WAITING = auto()
    BEGIN_VISIT = auto()
    ANSWER = auto()
    """Tell the client that its tunnel is there."""
    PAUSE = auto()
    """Read no more from the client."""
    RESUME = auto()
    END_UP = auto()
    """Tell the origin server that the client has said its last word."""
    END_DOWN = auto()
    CLOSE = auto()
    """Close the client's connection once it has all that is on its way to it."""
    ABORT = auto()
    """Close the client's connection at once."""
    LET_ORIGIN_GO = auto()
    """Close the connection to the origin server, or stop dialling for it."""

    # A member is only itself: no need to hash its name, several times a connection.
    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class AskWay:
    """Find out where a CONNECT to a host (canonical) goes, and say it by `judged`, before anything else."""

    host: str
    port: int
    authorization: str | None


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect to the origin server; `dialled` or `dial_failed` says what came of it."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Open:
    """From now on carry bytes both ways, these first ones to the origin server."""

    data: bytes


@dataclass(frozen=True, slots=True)
class GiveAway:
    """Give the connection to mitmproxy, with these bytes of the client's.

    With the visit where the CONNECT has been answered; then `dial_error` may say why there is no tunnel.
    """

    data: bytes
    is_answered: bool
    dial_error: str | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """Close the client's connection, with a TLS alert or at once; the visit says why."""

    cause: Cause
    refusal: str
    has_alert: bool = False


@dataclass(frozen=True, slots=True)
class EndVisit:
    """The client has gone, and the visit ends, for this reason unless it has one."""

    refusal: str | None = None


type Action = Do | AskWay | Dial | Open | GiveAway | Refuse | EndVisit
type Actions = Sequence[Action]


class State(Enum):
    """How far a connection has come."""

    HEAD = auto()
    HELLO = auto()
    DIALLING = auto()
    OPEN = auto()
    CLOSING = auto()
    """Only the end of what has begun is still to come."""
    GONE = auto()
    """Handed over, or ended."""


_NOTHING: Actions = ()
_LEFT = EndVisit()
_LEFT_EARLY = EndVisit(LEFT_EARLY)


class LaneStates:
    """One connection. Every method says what has happened, and returns what is to be done, in order."""

    __slots__ = (
        "_buffer",
        "_has_client_ended",
        "_has_origin_ended",
        "_head_bytes",
        "_hello_bytes",
        "_to",
        "state",
    )

    _to: AskWay
    _head_bytes: int

    def __init__(self) -> None:
        self.state = State.HEAD
        self._buffer = b""
        self._hello_bytes = 0
        self._has_client_ended = False
        self._has_origin_ended = False

    def accepted(self) -> Actions:
        """A client has connected."""
        return (Do.WAIT_FOR_FIRST_BYTE,)

    def received(self, data: bytes) -> Actions:
        """The client has said something; not called any more once the tunnel is open."""
        match self.state:
            case State.HEAD:
                is_first = not self._buffer
                self._buffer += data
                return (Do.WAIT_FOR_HEAD, *self._read_head()) if is_first else self._read_head()
            case State.HELLO:
                self._buffer += data
                return self._read_hello()
            case State.DIALLING:
                was_held = len(self._buffer) > HELD_BYTES
                self._buffer += data
                return (Do.PAUSE,) if len(self._buffer) > HELD_BYTES and not was_held else _NOTHING
            case State.OPEN | State.CLOSING | State.GONE:
                return _NOTHING

    def judged(self, way: Way) -> Actions:
        """What was asked by AskWay has been found out."""
        if way is Way.UNTOUCHED:
            return self._hand_over(is_answered=False)
        self._buffer = self._buffer[self._head_bytes :]
        self.state = State.HELLO
        if way is Way.ANSWERED:
            return (Do.BEGIN_VISIT, Do.ANSWER, *self._hand_over(is_answered=True))
        begun = (Do.BEGIN_VISIT, Do.ANSWER, Do.WAIT_FOR_HELLO)
        return (*begun, *self._read_hello()) if self._buffer else begun

    def dialled(self) -> Actions:
        """The origin server has answered, and may be spoken to."""
        if self.state is not State.DIALLING:
            return _NOTHING
        self.state = State.OPEN
        data, self._buffer = self._buffer, b""
        if len(data) <= HELD_BYTES and not self._has_client_ended:
            return (Do.STOP_WAITING, Open(data))
        # Read on before the write, which may pause it again.
        resume = (Do.RESUME,) if len(data) > HELD_BYTES else ()
        end = (Do.END_UP,) if self._has_client_ended else ()
        return (Do.STOP_WAITING, *resume, Open(data), *end)

    def dial_failed(self, error: str, *, may_show_page: bool) -> Actions:
        """The origin server cannot be reached, which a page says unless the site must not be opened."""
        if self.state is not State.DIALLING:
            return _NOTHING
        if may_show_page:
            return self._hand_over(is_answered=True, dial_error=error)
        return self._refuse(Cause.UNREACHABLE, error, has_alert=True)

    def client_ended(self) -> Actions:
        """The client says no more; it may still listen."""
        self._has_client_ended = True
        if self.state is State.OPEN:
            # Closing says it, too, once all that was said before has gone.
            return (Do.CLOSE,) if self._has_origin_ended else (Do.END_UP,)
        if self.state is State.DIALLING and len(self._buffer) > self._hello_bytes:
            # More than a greeting: its last word, which has an answer.
            return _NOTHING
        # Who leaves before there is a tunnel wants none.
        if self.state in (State.HELLO, State.DIALLING):
            self.state = State.CLOSING
        return (Do.CLOSE,)

    def origin_ended(self) -> Actions:
        """The origin server says no more; it may still listen."""
        self._has_origin_ended = True
        return (Do.CLOSE,) if self._has_client_ended else (Do.END_DOWN,)

    def origin_lost(self) -> Actions:
        """The connection to the origin server is closed; what it said last is on its way to the client."""
        return (Do.CLOSE,)

    def client_lost(self) -> Actions:
        """The client's connection is closed."""
        state, self.state = self.state, State.GONE
        match state:
            case State.HEAD:
                return (Do.STOP_WAITING,)
            case State.HELLO | State.DIALLING | State.CLOSING:
                return (Do.STOP_WAITING, Do.LET_ORIGIN_GO, _LEFT_EARLY)
            case State.OPEN:
                return (Do.LET_ORIGIN_GO, _LEFT)
            case State.GONE:
                return _NOTHING

    def waited_long_enough(self) -> Actions:
        """What was waited for has not come in its time; `dial_failed` says so of an origin server."""
        if self.state is State.HEAD and self._buffer:
            # A head that is not there whole in time is answered, and recorded, by mitmproxy.
            return self._hand_over(is_answered=False)
        if self.state is State.HELLO:
            return self._refuse(Cause.NOT_TLS, "no ClientHello in time")
        return (Do.ABORT,)

    def failed(self) -> Actions:
        """Something could not be done: the addons judge, and fail closed, where nothing was answered yet."""
        match self.state:
            case State.HEAD:
                return self._hand_over(is_answered=False)
            case State.HELLO | State.DIALLING | State.OPEN:
                return self._refuse(Cause.FAULT, "deciding failed")
            case State.CLOSING | State.GONE:
                return (Do.ABORT,)

    def _read_head(self) -> Actions:
        """Ask about a plain CONNECT once it is there whole."""
        try:
            head = read_head(self._buffer)
            if head is None:
                return _NOTHING
            self._to = AskWay(canonical_host(head.host), head.port, head.authorization)
        except (LessPlainError, HostNameError):
            return self._hand_over(is_answered=False)
        self._head_bytes = head.length
        return (self._to,)

    def _read_hello(self) -> Actions:
        """Dial for a client that greets the very host it asked for."""
        try:
            name = server_name_of(self._buffer)
            if name is None:
                return _NOTHING
            text = name.decode("ascii")
            if text != self._to.host and canonical_host(text) != self._to.host:
                raise LessPlainError
        except (LessPlainError, ValueError):
            return self._hand_over(is_answered=True)
        self.state = State.DIALLING
        self._hello_bytes = len(self._buffer)
        return (Do.WAIT_FOR_ORIGIN, Dial(self._to.host, self._to.port))

    def _hand_over(self, *, is_answered: bool, dial_error: str | None = None) -> Actions:
        self.state = State.GONE
        data, self._buffer = self._buffer, b""
        return (Do.STOP_WAITING, GiveAway(data, is_answered, dial_error))

    def _refuse(self, cause: Cause, refusal: str, *, has_alert: bool = False) -> Actions:
        self.state = State.CLOSING
        return (Do.STOP_WAITING, Refuse(cause, refusal, has_alert))

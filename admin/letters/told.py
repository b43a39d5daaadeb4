"""A letter about a request as it is told: from the request as it stands, to who reads it."""

from dataclasses import dataclass

from admin import decided_requests
from admin.asked import Kind
from admin.asking import AccessRequest, ForWhom
from admin.database import Database
from admin.letters.parts import Link, Town, sentence
from admin.outbox import PutLetter
from admin.web import words
from admin.web.request_words import said_earlier
from admin.web.words import Times
from policy import limit_words


@dataclass(frozen=True, slots=True)
class Told:
    """A letter about a request, and who reads it."""

    put: PutLetter
    request: AccessRequest
    db: Database
    town: Town

    @property
    def reader(self) -> str:
        return self.put.letter.to

    @property
    def is_asker(self) -> bool:
        return self.reader in self.request.askers

    def subject(self, text: str) -> str:
        return f"[{self.request.number}] {text}"

    @property
    def host(self) -> str:
        return words.subject(self.request)

    @property
    def decided_by(self) -> str:
        return sentence(self.town.people.decider(self.request, self.reader))

    @property
    def for_whom(self) -> str:
        request, people = self.request, self.town.people
        if request.for_whom is ForWhom.DEPARTMENT:
            return f"everyone in {people.department(request.department)}"
        return " and ".join((", ".join(names[:-1]), names[-1])) if (names := self._names)[1:] else names[0]

    @property
    def _names(self) -> list[str]:
        return [self.town.people.name(asker) for asker in self.request.askers]

    @property
    def also(self) -> tuple[tuple[str, str], ...]:
        """The case that it is for; which downloads are stopped there; what the site's pages need, and access
        opens with it. Facts, or none."""
        request, hosts = self.request, ", ".join(map(words.host, self.request.hosts))
        case = (("Case", standing.case_number),) if (standing := request.standing) else ()
        is_download = request.kind is Kind.DOWNLOAD
        stopped = limit_words.stopped_by(request.rule, self.town.policy) if is_download else ""
        stopped_there = (("Stopped there", stopped),) if stopped else ()
        return (*case, *stopped_there, *((("Also opens", hosts),) if hosts else ()))

    @property
    def see(self) -> Link:
        return Link("See the request", f"/requests/{self.request.id}")

    @property
    def asker(self) -> str:
        """The name of the person."""
        return self.town.people.name(self.request.person)

    async def earlier(self) -> str:
        """Return what came of the last request for the site that was decided before."""
        last = next(iter(await decided_requests.earlier_decisions(self.db, self.request)), None)
        if last is None:
            return "never asked"
        times = Times(self.town.zone, self.town.now)
        return words.plain(said_earlier(last, self.town.policy, self.reader, times))

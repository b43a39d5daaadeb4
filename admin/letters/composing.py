"""A letter as a mail message: text and HTML from the same words, threaded, addressed.

Values go into headers through email.message, which refuses line ends in them: nothing that a person
or a list wrote can add a header.
"""

from collections.abc import Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from admin.letters.parts import Words
from admin.outbox import PutLetter
from admin.templates import environment
from policy.town_policy import Town

# Every server takes 7 bits, whatever it says of itself.
_MAIL = SMTP.clone(cte_type="7bit")
_NO_BREAK = "\u00a0"

_TEXT = environment("admin.letters", autoescape=False)
_HTML = environment("admin.letters", autoescape=True)


def compose(
    put: PutLetter,
    words: Words,
    *,
    sender: Address,
    to: Address,
    earlier: Sequence[str],
    admin_url: str,
    town: Town,
) -> EmailMessage:
    """Return the message; the same at every try. `earlier` are the message ids of its thread."""
    message = EmailMessage(_MAIL)
    message["From"] = sender
    message["To"] = to
    message["Subject"] = _plain(words.subject)
    message["Date"] = put.put_at
    message["Message-ID"] = _id(put.message_id, sender)
    if earlier:
        message["In-Reply-To"] = _id(earlier[-1], sender)
        message["References"] = " ".join(_id(each, sender) for each in earlier)
    # RFC 3834: no vacation notice answers it; the second is for Exchange.
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    if town.help_desk_email and town.help_desk_email != to.addr_spec:
        message["Reply-To"] = Address(addr_spec=town.help_desk_email)
    values = {"words": words, "admin_url": admin_url, "town": town}
    message.set_content(_plain(_TEXT.get_template("letter.txt").render(values)))
    message.add_alternative(_HTML.get_template("letter.html").render(values), subtype="html")
    message.set_boundary(f"={put.message_id}=")
    return message


def _id(name: str, sender: Address) -> str:
    return f"<{name}@{sender.domain}>"


def _plain(text: str) -> str:
    return text.replace(_NO_BREAK, " ")

"""The admin site with a mail server: a real one, set the way that IT sets it."""

from tests.admin.web.conftest import Site
from tests.post_office import PostOffice


async def with_mail(site: Site, office: PostOffice | int) -> None:
    """Write settings.yaml with this server (or port of loopback), and wait until it is in force."""
    port = office if isinstance(office, int) else office.port
    site.state.settings_document.write_text(
        "mail:\n"
        f"  server: smtp://127.0.0.1:{port}\n"
        "  starttls: never\n"
        "  from: Towngate <towngate@town.example>\n"
    )
    await site.until(lambda: site.admin.correspondence.has_mail)

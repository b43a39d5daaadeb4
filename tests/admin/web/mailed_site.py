"""The admin site with a mail server: a real one, set the way that IT sets it."""

from tests.admin.web.conftest import Site
from tests.post_office import PostOffice


async def with_mail(site: Site, office: PostOffice | int, webhook: str | None = None) -> None:
    """Set this server (or port of loopback), and a webhook, and wait until they are in force."""
    port = office if isinstance(office, int) else office.port
    text = (
        f"mail:\n  server: smtp://127.0.0.1:{port}\n  starttls: never\n"
        "  from: Towngate <towngate@town.example>\n"
    )
    if webhook is not None:
        (site.state.root / "webhook-secret").write_text("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        text += f"webhook: {{url: '{webhook}', secret_file: webhook-secret}}\n"
    with_settings(site, text)
    await site.until(lambda: site.admin.settings.settings.mail is not None)


def with_settings(site: Site, text: str) -> None:
    """Save settings.yaml."""
    site.state.settings_document.write_text(text)

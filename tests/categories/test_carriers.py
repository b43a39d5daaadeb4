"""Which site a translator, cache or archive shows."""

import pytest

from categories.carriers import carried_hosts


@pytest.mark.parametrize(
    ("host", "target", "carried"),
    [
        ("cardroom-example.translate.goog", "", ["cardroom.example"]),
        ("www-card--room-example.translate.goog", "/a?_x_tr_sl=en", ["www.card-room.example"]),
        ("translate.google.com", "/translate?sl=en&u=https://cardroom.example/a?b", ["cardroom.example"]),
        ("translate.google.com", "/translate?u=CardRoom.example.", ["cardroom.example"]),
        ("translate.google.com", "/translate?u=http%3A%2F%2F1572395044%2F", ["93.184.216.36"]),
        ("translate.google.com", "/?text=hello", []),
        ("www.translatetheweb.com", "/?a=http://cardroom.example/", ["cardroom.example"]),
        ("webcache.googleusercontent.com", "/search?q=cache:cardroom.example/a", ["cardroom.example"]),
        ("webcache.googleusercontent.com", "/search?q=cache:abcdefghijkl:http://a.example/", ["a.example"]),
        ("web.archive.org", "/web/20200101000000/http://cardroom.example/", ["cardroom.example"]),
        ("web.archive.org", "/web/2020if_/https:/cardroom.example/", ["cardroom.example"]),
        ("web.archive.org", "/web/*/cardroom.example", ["cardroom.example"]),
        ("web.archive.org", "/web/2020/http%3A//cardroom.example/", ["cardroom.example"]),
        ("web.archive.org", "/about/", []),
        ("archive.ph", "/newest/https://cardroom.example/", ["cardroom.example"]),
        ("cardroom-example.cdn.ampproject.org", "/", ["cardroom.example"]),
        ("cdn.ampproject.org", "/c/s/cardroom.example/a", ["cardroom.example"]),
        ("12ft.io", "/https://cardroom.example/", ["cardroom.example"]),
        (
            "translate.google.com",
            "/translate?u=http://web.archive.org/web/2020/http://cardroom.example/",
            ["web.archive.org", "cardroom.example"],
        ),
        ("translate.google.com", "/translate?u=http://a..example/", []),
        ("translate.google.com", "/translate?u=", []),
        (
            "translate.google.com",
            "/translate?u=https://library.example/&u=https://cardroom.example/",
            ["library.example", "cardroom.example"],
        ),
        ("translate.google.com", "/translate?u=%20&url=https://cardroom.example/", ["cardroom.example"]),
        ("web.archive.org", "//web/2020/https://cardroom.example/", ["cardroom.example"]),
        ("web.archive.org", "/./web/2020/https://cardroom.example/", ["cardroom.example"]),
        ("web.archive.org", "/web/2020/https:\\\\cardroom.example/", ["cardroom.example"]),
        ("www.google.com", "/amp/s/cardroom.example/a", ["cardroom.example"]),
        ("www.google.com", "/search?q=cardroom.example", []),
        ("news.example", "/share?url=http://cardroom.example/", []),
        ("translate.goog", "/", []),
        ("[2001:db8::1]", "/", []),
    ],
)
def test_inner_site_is_named(host: str, target: str, carried: list[str]) -> None:
    assert list(carried_hosts(host, target)) == carried


def test_only_so_many_sites_within_one_another_are_looked_at() -> None:
    nested = "/translate?u=http://translate.google.com" * 9

    assert len(list(carried_hosts("translate.google.com", nested))) <= 3

"""One https address: cuts, redirects, certificates and proxies, from a real server on this machine."""

import re
import shutil
import sys

import pytest
from faulty_server import CERTIFICATE, CONTENT, Proxy, SecureServer, names_in

from course_utils import assets
from course_utils.errors import CourseError
from course_utils.fetching import http


@pytest.mark.parametrize("path", ["truncated", "truncated-without-length"])
def test_an_answer_that_always_ends_early_is_given_up_and_kept_for_the_next_time(
    server, cache, offer, path
):
    """Once more may bring the rest; again and again it does not. What came is not thrown away."""
    offer(server.url(path))
    with pytest.raises(CourseError, match="only 512,000 of 1,024,000 bytes") as caught:
        assets.fetch("thing")
    assert "the next try goes on from it" in caught.value.why
    assert set(server.asked) == {path} and 2 <= len(server.asked) <= 8
    assert names_in(cache) == [".thing.bin.part"]
    assert (cache / ".thing.bin.part").read_bytes() == CONTENT[:512_000]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing", "the server answered 404"),
        ("reset", "interrupted"),
        ("redirect-to-http", "which is not https"),
        ("redirect-to-file", "file"),
    ],
)
def test_faults_of_the_server_leave_nothing_behind(server, cache, offer, path, message):
    offer(server.url(path))
    with pytest.raises(CourseError, match=message):
        assets.fetch("thing")
    assert server.asked == [path] * (http.TRIES if path == "reset" else 1) and names_in(cache) == []


def test_a_redirect_to_an_allowed_place_is_followed(server, cache, offer):
    offer(server.url("redirect"))
    assert assets.fetch("thing").read_bytes() == CONTENT
    assert server.asked == ["redirect", "good"]


def test_a_busy_server_is_asked_again(server, cache, offer):
    offer(server.url("busy"))
    assert assets.fetch("thing").read_bytes() == CONTENT
    assert server.asked == ["busy"] * 3


# Certificates and proxies


@pytest.fixture
def bare(cache, monkeypatch):
    """An environment that names no proxy and no certificate; what a fix sets there is taken back."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "pip_cert"):
        for spelling in (name, name.upper()):
            monkeypatch.setenv(spelling, "")
            monkeypatch.delenv(spelling)
    return monkeypatch


def paste(fix):
    return re.search(r'import os; .*assets\.fetch\("thing"\)', fix)[0]


def test_a_refused_certificate_is_named_and_the_networks_own_can_be_given(
    bare, cache, offer, tmp_path
):
    with SecureServer() as secure:
        offer(secure.url("good"))
        with pytest.raises(
            CourseError, match=r"its certificate was refused \(self.signed"
        ) as caught:
            assets.fetch("thing")
        assert caught.value.code == "asset-certificate-refused"
        assert secure.asked == [] and names_in(cache) == []
        bare.chdir(tmp_path)
        shutil.copy(CERTIFICATE, tmp_path / "certificate.pem")
        exec(paste(caught.value.fix))
        assert secure.asked == ["good"] and names_in(cache) == ["thing.bin"]


def test_a_refused_certificate_at_one_mirror_does_not_keep_from_the_next(
    bare, server, cache, offer, capsys
):
    with SecureServer() as secure:
        offer(secure.url("good"), server.url("good"))
        assert assets.fetch("thing").read_bytes() == CONTENT
    assert "certificate was refused" in capsys.readouterr().out


def test_nobody_elsewhere_sends_us_to_this_machine(bare, cache, offer):
    """The server stands for one elsewhere: a proxy joins with it whoever is asked for."""
    bare.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with SecureServer() as secure, Proxy(secure.server_address) as proxy:
        bare.setenv("HTTPS_PROXY", proxy.url(""))
        offer("https://course.example/redirect")
        with pytest.raises(
            CourseError, match=r"redirected to https://127\S+, which is this machine"
        ):
            assets.fetch("thing")
        assert proxy.asked == ["course.example:443"] and secure.asked == ["redirect"]
        offer("https://course.example/good")
        assert assets.fetch("thing").read_bytes() == CONTENT


def test_the_proxy_of_the_environment_is_used_whatever_else_it_names(bare, cache, offer):
    """Some desktops set ALL_PROXY=socks://, which httpx would stop at, beside one that does."""
    bare.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with SecureServer() as secure, Proxy() as proxy:
        bare.setenv("ALL_PROXY", "socks://127.0.0.1:9/")
        bare.setenv("HTTPS_PROXY", proxy.url(""))
        offer(secure.url("good"))
        assert assets.fetch("thing").read_bytes() == CONTENT
        assert proxy.asked == [f"127.0.0.1:{secure.server_port}"]
        (cache / "thing.bin").unlink()
        bare.setenv("NO_PROXY", "127.0.0.1")
        assert assets.fetch("thing").read_bytes() == CONTENT
        assert len(proxy.asked) == 1 and secure.asked == ["good", "good"]


def test_a_socks_proxy_is_named_and_the_way_around_it_works(bare, cache, offer):
    bare.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    bare.setenv("ALL_PROXY", "socks5://someone:secret@127.0.0.1:9")
    bare.setitem(sys.modules, "socksio", None)  # not installed
    with SecureServer() as secure, Proxy() as proxy:
        offer(secure.url("good"))
        with pytest.raises(CourseError, match=r"the proxy 127\.0\.0\.1:9 speaks SOCKS") as caught:
            assets.fetch("thing")
        assert caught.value.code == "asset-socks-proxy" and "secret" not in str(caught.value)
        exec(paste(caught.value.fix).replace("8080", str(proxy.server_port)))
        assert proxy.asked and secure.asked == ["good"] and names_in(cache) == ["thing.bin"]


def test_a_proxy_that_is_none_is_an_error_with_words(bare, server, cache, offer):
    bare.setenv("HTTP_PROXY", "http://proxy:port")
    offer(server.url("good"))
    with pytest.raises(CourseError, match="the proxy's address is none"):
        assets.fetch("thing")
    assert server.asked == []

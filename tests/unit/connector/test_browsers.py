import pytest

from ehr_connector.web.browsers import Verdict, judge

WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
ANDROID = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    "user_agent",
    [
        f"{WINDOWS} Chrome/156.0.0.0 Safari/537.36",
        f"{ANDROID} Chrome/154.0.0.0 Mobile Safari/537.36",
        f"{MAC} AppleWebKit/537.36 (KHTML, like Gecko) Chrome/155.0.0.0 Safari/537.36",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
        f"{IPHONE} CriOS/156.0.0.0 Mobile/15E148 Safari/604.1",
        f"{IPHONE} Version/26.1 Mobile/15E148 Safari/604.1",
        f"{MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
        f"{MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
        f"{WINDOWS} Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0",
    ],
    ids=[
        "Chrome on Windows",
        "Chrome on Android, two versions back",
        "Chrome on macOS",
        "Chrome on Linux",
        "Chrome on iOS",
        "Safari on iOS",
        "Safari on macOS",
        "Safari on macOS, two versions back",
        "Edge",
    ],
)
def test_the_browsers_that_teams_supports_pass(user_agent: str) -> None:
    assert judge(user_agent) is Verdict.SUPPORTED


def test_powercharts_embedded_edge_passes() -> None:
    assert judge(f"{WINDOWS} Chrome/154.0.0.0 Safari/537.36 Edg/154.0.0.0") is Verdict.SUPPORTED


@pytest.mark.parametrize(
    "user_agent",
    [
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:146.0) Gecko/20100101 Firefox/146.0",
        f"{IPHONE} FxiOS/146.0 Mobile/15E148 Safari/604.1",
        f"{ANDROID} SamsungBrowser/29.0 Chrome/156.0.0.0 Mobile Safari/537.36",
        f"{WINDOWS} Chrome/156.0.0.0 Safari/537.36 OPR/120.0.0.0",
        "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
        f"{WINDOWS} Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763",
    ],
    ids=["Firefox", "Firefox on iOS", "Samsung Internet", "Opera", "Internet Explorer", "Edge before Chromium"],
)
def test_other_browsers_are_told_which_work(user_agent: str) -> None:
    assert judge(user_agent) is Verdict.OTHER


@pytest.mark.parametrize(
    "user_agent",
    [
        f"{WINDOWS} Chrome/120.0.0.0 Safari/537.36",
        f"{IPHONE.replace('18_6', '15_8')} Version/15.6 Mobile/15E148 Safari/604.1",
        f"{MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/14.1 Safari/605.1.15",
    ],
    ids=["Chrome", "Safari on iOS", "Safari on macOS"],
)
def test_an_old_version_is_told_to_update(user_agent: str) -> None:
    assert judge(user_agent) is Verdict.TOO_OLD


def test_a_browser_inside_an_app_is_told_to_open_the_link_outside() -> None:
    assert judge(f"{IPHONE} Mobile/15E148 Instagram 300.0 (iPhone14,5; iOS 18_6)") is Verdict.INSIDE_AN_APP


@pytest.mark.parametrize(
    "user_agent",
    [None, "", "Mozilla/5.0", "curl/8.5", f"{ANDROID.replace('; K)', '; K; wv)')} Version/4.0 Chrome/156.0.0.0 Mobile"],
    ids=["none", "empty", "bare", "program", "Android's WebView"],
)
def test_a_browser_passes_when_unsure(user_agent: str | None) -> None:
    assert judge(user_agent) is Verdict.SUPPORTED


@pytest.mark.parametrize("user_agent", ["Chrome/%s", "iPhone; CPU iPhone OS %s_0", "Version/%s Safari/605"])
def test_a_version_without_end_is_a_version(user_agent: str) -> None:
    assert judge(user_agent % ("9" * 5000)) is Verdict.SUPPORTED

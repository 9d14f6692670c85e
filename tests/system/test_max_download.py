"""``pull --max-download`` as a process: exit code 3 and a sentence until all has come."""

import re

from tests.system.conftest import Site


def test_a_limited_pull_says_what_is_left_and_a_larger_limit_brings_it(site: Site) -> None:
    messages, octets = site.account.total()
    limit = octets // 3
    done = site.program("pull", site.url, "--max-download", f"{limit}B", "--newest-first", code=3)
    assert "; left: " in done.stdout
    assert " a day (until " in done.stdout
    assert done.stderr == ""
    assert not re.search("[KMG]iB", done.stdout)
    assert site.server.counts.body_octets <= limit
    value = site.program.json("pull", site.url, "--max-download", "1TB")
    assert (value["status"], value["accounts"][0]["left_messages"]) == ("complete", 0)
    assert site.program.json("stats")["messages"] == messages
    assert site.server.counts.body_octets <= octets


def test_a_dry_run_says_what_may_come_today(site: Site) -> None:
    messages, octets = site.account.total()
    limit = f"{octets // 3}B"
    done = site.program("pull", site.url, "--max-download", limit, "--dry-run")
    assert "; today may come: " in done.stdout
    assert "; left: " in done.stdout
    assert not re.search("[KMG]iB", done.stdout)
    value = site.program.json("pull", site.url, "--max-download", limit, "--dry-run")
    (account,) = value["accounts"]
    assert 0 < account["left_messages"] < account["to_fetch_messages"] <= messages
    assert 0 < account["to_fetch_bytes"] - account["left_bytes"] <= octets // 3
    assert account["max_download"] == octets // 3


def test_what_is_no_size_is_exit_code_2(site: Site) -> None:
    assert "write it like 500MB" in site.program("pull", site.url, "--max-download", "much", code=2).stderr

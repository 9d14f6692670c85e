"""``mailarchive account``: add accounts to the configuration, list, check and remove them, and log in by OAuth."""

from mailarchive.cli.account_add import add
from mailarchive.cli.account_check import check
from mailarchive.cli.account_list import list_accounts
from mailarchive.cli.account_login import login
from mailarchive.cli.account_remove import remove

__all__ = ["add", "check", "list_accounts", "login", "remove"]

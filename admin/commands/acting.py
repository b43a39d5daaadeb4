"""Who acts at the command line, as the audit log has it."""

import getpass
import os

from admin.audit import AT_THE_COMMAND_LINE


def actor() -> str:
    """Return the account's name on this machine, marked as what it is."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in some containers
        name = f"user {os.getuid()}"
    return f"{name}{AT_THE_COMMAND_LINE}"

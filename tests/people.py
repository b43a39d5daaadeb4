"""The town's people, with the same roles in every test, as `tests.towns` writes them down."""

from policy.visit import Client

CLERK = "clerk"
"""Works in Finance, at FIN-PC-15."""
HEAD = "head"
"""Head of Finance: decides on the clerk's requests."""
PARKS_HEAD = "parks-head"
"""Head of Parks: has no say in Finance."""
HELP_DESK = "helpdesk"
IT = "it"
"""IT security: accepts or refuses security risks."""
ADMINISTRATOR = "administrator"
"""The town administrator: decides on the heads' own requests."""

CLERK_AT_WORK = Client(address="127.0.0.1", person=CLERK, device="FIN-PC-15", department="finance")
SOMEONE_IN_PARKS = Client(address="10.10.40.7", department="parks")
STRANGER = Client(address="192.0.2.1")

AS_CLERK = {"acting_role": "employee", "acting_in": "finance"}
"""How an event tells in what role the clerk acted."""
AS_HEAD = {"acting_role": "department_head", "acting_in": "finance"}

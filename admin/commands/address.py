"""HOST:PORT as an option's type."""

import click

from admin.listening import Address


class AddressType(click.ParamType[Address]):
    """HOST:PORT on the command line, as an Address."""

    name = "HOST:PORT"

    def convert(
        self, value: str | Address, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        """Read the address, or fail with what is wrong."""
        if isinstance(value, Address):
            return value
        try:
            return Address.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)

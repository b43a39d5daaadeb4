"""The subcommands of `towngate`, a module each, imported only when called."""

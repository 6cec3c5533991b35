"""Define the command line: one module of commands per group, and beside it (`*_console`) a module that prints."""

"""The command line: a file of commands for each group, and beside it (`*_console`) what they print."""

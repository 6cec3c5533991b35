"""What every room may use and what uses none: errors, text for a terminal, titles of items, folders the package carries."""

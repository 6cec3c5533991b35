"""Provide what every package uses: errors, terminal text, item titles, paths of packaged data; imports no other package."""

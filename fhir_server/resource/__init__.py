"""One resource: exact JSON in and out, validation, and the stamping of id and meta."""

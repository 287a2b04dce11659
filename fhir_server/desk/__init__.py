"""The pages of staff and integrators."""

"""The migration tool beside LibCST's own runner, in pairs."""

"""A project that knows nothing of mmamp."""

"""What every room shares: error texts, file writes, the layout of a user's data. It imports no other room."""

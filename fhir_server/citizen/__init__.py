"""What a citizen meets: QR cards, sessions, the pages of one's own record and the form to declare one's own health."""

"""What we know about the platform's side: tokens, uploads, pauses it asked for, and our rights to send."""

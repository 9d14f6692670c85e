"""The layout `maildir`: a file a message, and a Maildir++ tree of links to them."""

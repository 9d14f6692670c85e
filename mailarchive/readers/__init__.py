"""What reads mail that is in files already, whoever wrote them."""

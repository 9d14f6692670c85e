"""An error on its way to ``main``, with what ``--json`` says about it besides the sentence."""


class Failed(Exception):
    """``error`` ended a command whose JSON object has ``facts`` even then."""

    def __init__(self, error: Exception, facts: dict[str, object]) -> None:
        super().__init__(str(error))
        self.error = error
        self.facts = facts
